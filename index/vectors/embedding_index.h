// EmbeddingIndex: candidates by inner product of a vector with the item embeddings, as they are
// now.
//
//   search = (index of the vectors at its building, or an exact scan of them)
//          + exact scan of what came or changed since, which hides the former
//
// so that a new vector is found by the next search, and never waits for an index. When the changes
// have grown too many, Rebuild makes an index of everything beside the searches and puts it in
// place; the old one goes with its last reader.
//
// A search answers with as many items as were asked for whenever there are that many admitted ones:
// what an approximate search could not fill, an exact scan of the admitted items does, so that a
// narrow filter never turns into an empty page (index/vectors/vector_search.h). Scores are always
// those of the exact vectors.
#ifndef GROUNDSWELL_INDEX_VECTORS_EMBEDDING_INDEX_H_
#define GROUNDSWELL_INDEX_VECTORS_EMBEDDING_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/mutex.h"
#include "index/candidate_source.h"
#include "index/vectors/approximate_index.h"
#include "index/vectors/item_vectors.h"
#include "index/vectors/vector_changes.h"

namespace groundswell {

// Thread-safe throughout.
class EmbeddingIndex {
 public:
  struct Options {
    size_t flat_max_items = 50'000;  // up to here, the search is an exact scan
    // Above that: "IVF<lists>,Int8" (index/vectors/ivf_int8_index.h), a kind in FAISS's factory
    // language, or "auto"; see DefaultIndexKind.
    std::string factory = "auto";
    size_t nprobe = 0;           // lists visited per search, of IVF kinds; 0: the rule's
    size_t ef_search = 500;      // candidates held per search, of HNSW kinds
    size_t rescore_factor = 4;   // times more candidates that kinds which compress are asked for
    size_t changes_max = 8'192;  // changed items from which on a new index is wanted
    size_t items_max = 0;        // items that there can be, at least the rows of the matrix
  };
  // Told how many of the items are indexed, from the building thread; false ends the building.
  using Progress = IndexProgress;

  // Indexes `trained`, items x dim, row-major, on `threads` threads; item i is row i. The matrix
  // must outlive everything made from it. No items at all is allowed. InvalidArgument names the row
  // that is not finite, or retrieval.factory where FAISS does not know it or cannot train it on
  // these items; FailedPrecondition when this FAISS does not run on this processor.
  static absl::StatusOr<std::unique_ptr<EmbeddingIndex>> Build(std::span<const float> trained,
                                                               size_t dim, const Options& options,
                                                               size_t threads = 1,
                                                               const Progress& progress = nullptr);

  // Score: the inner product. Equal scores are in ascending order of item. InvalidArgument when the
  // query's vector is not `dim` finite numbers.
  absl::StatusOr<std::vector<Candidate>> Retrieve(const CandidateQuery& query) const;

  class View;
  // The same among the vectors of a view.
  absl::StatusOr<std::vector<Candidate>> Retrieve(const CandidateQuery& query,
                                                  const View& view) const;
  // Gives an item a vector, or another one: the next search finds it. InvalidArgument when the
  // vector is not `dim` finite numbers, OutOfRange when there is no room for the item's index.
  absl::Status Upsert(ItemIndex item, std::span<const float> vector)
      ABSL_LOCKS_EXCLUDED(writer_mutex_);
  // Takes the item's vector away. Not needed for items that a filter leaves out.
  absl::Status Remove(ItemIndex item) ABSL_LOCKS_EXCLUDED(writer_mutex_);

  // The vectors as they are now; what changes later, a view does not show.
  View Now() const;
  // The trained vectors, whatever has changed since: a search of them answers the same for ever.
  // The index that was built of them is kept for it when another one takes its place.
  View Trained() const;

  // Whether so much has changed that Rebuild is worth its time: at least Options::changes_max
  // items, which every search scans.
  bool WantsRebuild() const;
  // Makes an index of everything, with the kind that the number of items calls for, and puts it in
  // place. One at a time; searches and changes go on beside it. On an error, or when `progress`
  // answers false (Cancelled), all is as it was.
  absl::Status Rebuild(size_t threads, const Progress& progress)
      ABSL_LOCKS_EXCLUDED(rebuild_mutex_, writer_mutex_);

  struct Status {
    std::string kind;          // "Flat", or what FAISS was told
    size_t items = 0;          // in the index
    size_t changed_items = 0;  // since it was built
    size_t bytes = 0;          // beside the snapshot's matrix
  };
  Status status() const;

 private:
  // What searches work on, replaced as a whole.
  struct Epoch {
    std::shared_ptr<const ItemVectors> vectors;
    std::shared_ptr<const ApproximateIndex> index;  // null: exact scan
    std::shared_ptr<VectorChanges> changes;
  };

  EmbeddingIndex(size_t dim, const Options& options) : dim_(dim), options_(options) {}

  std::shared_ptr<const Epoch> epoch() const ABSL_LOCKS_EXCLUDED(mutex_);
  void Publish(Epoch epoch) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::shared_ptr<const ApproximateIndex>> BuildIndex(
      const ItemVectors& vectors, size_t threads, const Progress& progress) const;
  absl::Status Append(ItemIndex item, std::span<const float> vector)
      ABSL_LOCKS_EXCLUDED(writer_mutex_);
  // The newest change of every item that came at or after `sequence`, with room for as many again.
  std::shared_ptr<VectorChanges> ChangesSince(const VectorChanges& changes,
                                              uint64_t sequence) const;

  const size_t dim_;
  const Options options_;
  size_t items_max_ = 0;
  std::shared_ptr<const Epoch> trained_;  // without changes
  Mutex rebuild_mutex_;                   // held while an index is built
  Mutex writer_mutex_;                    // held to append, and to put an epoch in place
  uint64_t sequence_ ABSL_GUARDED_BY(writer_mutex_) = 0;
  mutable Mutex mutex_;  // leaf
  std::shared_ptr<const Epoch> epoch_ ABSL_GUARDED_BY(mutex_);
};

// One state of the vectors: what a request asks once and keeps to its end. Use by one thread.
class EmbeddingIndex::View {
 public:
  // Empty when the item has none. Valid as long as the view.
  std::span<const float> VectorOf(ItemIndex item) const;
  // What searches ask beside the changes; null when the search is exact. Valid likewise.
  const ApproximateIndex* index() const { return epoch_->index.get(); }

 private:
  friend class EmbeddingIndex;
  explicit View(std::shared_ptr<const Epoch> epoch)
      : epoch_(std::move(epoch)), n_(epoch_->changes->size()) {}

  std::shared_ptr<const Epoch> epoch_;
  size_t n_;  // changes that the view shows
};

// Whether there is such a kind for vectors of this length; InvalidArgument names retrieval.factory
// and its value.
absl::Status CheckFactory(const std::string& factory, size_t dim);

// What "auto" stands for above flat_max_items: IVF<lists>,Int8 with as many lists as the power of
// two at or below sqrt(32 items), of which a search visits 3.5 sqrt(lists). docs/retrieval.md has
// the measurements behind it.
struct IndexKind {
  std::string factory;
  size_t nprobe = 0;
};
IndexKind DefaultIndexKind(size_t items);

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_EMBEDDING_INDEX_H_
