// FaissIndex: an approximate index by inner product, of any kind that FAISS's factory language
// names ("IVF4096,Flat", "HNSW32", "IVF1024,PQ32x4fs"). The only file that knows FAISS.
#ifndef GROUNDSWELL_INDEX_VECTORS_FAISS_INDEX_H_
#define GROUNDSWELL_INDEX_VECTORS_FAISS_INDEX_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/item_filter.h"
#include "index/vectors/item_vectors.h"
#include "index/vectors/vector_changes.h"

namespace faiss {
struct Index;
}  // namespace faiss

namespace groundswell {

// Of which items a search wants to hear: those that the filter admits and whose vector is not
// among the first `n` changes.
struct AdmittedItems {
  bool operator()(ItemIndex item) const {
    return changes.LeavesAsItWas(item, n) && filter.Admits(item);
  }

  const ItemFilter& filter;
  const VectorChanges& changes;
  size_t n = 0;
};

// Immutable once built; use from any thread.
class FaissIndex {
 public:
  struct Options {
    std::string factory;
    size_t nprobe = 16;      // lists visited per search, of IVF kinds
    size_t ef_search = 500;  // candidates held per search, of HNSW kinds; at least what is fetched
    size_t threads = 1;      // that build it
  };
  // Told how many of the items are in, from the building thread; false ends the building.
  using Progress = std::function<bool(size_t done, size_t total)>;

  struct Hit {
    ItemIndex item{};
    float score = 0;  // the inner product with the exact vector
  };

  // Trains on a sample and adds every item. `vectors` must outlive the index. InvalidArgument names
  // retrieval.factory, its value and what FAISS has to say; Cancelled when `progress` said so.
  static absl::StatusOr<std::unique_ptr<FaissIndex>> Build(const ItemVectors& vectors,
                                                           const Options& options,
                                                           const Progress& progress = nullptr);
  // Whether FAISS knows the factory string, and searches by inner product under it; as above.
  static absl::Status Check(const std::string& factory, size_t dim);

  ~FaissIndex();

  // Puts into `hits` up to `fetch` items that are best by the index's own scores, in their order.
  // With `admitted`, only such, asked for inside the search; that needs filters_inside().
  // `widening` >= 1 visits that many times more lists, where share_visited() is not 0. Internal
  // when FAISS throws.
  absl::Status Search(std::span<const float> query, size_t fetch, const AdmittedItems* admitted,
                      double widening, std::vector<Hit>& hits) const;

  const std::string& factory() const { return factory_; }
  size_t size() const { return vectors_.size(); }
  bool filters_inside() const { return filters_inside_; }
  // Whether it searches compressed vectors: what is best by them need not be best, so that a search
  // should fetch more than it wants.
  bool compresses() const { return compresses_; }
  // The share of its lists that a search visits; 0 of kinds that have none, or whose searches
  // cannot be widened.
  double share_visited() const;
  // What FAISS would write to a file, which is close to what it keeps in memory.
  size_t bytes() const { return bytes_; }

  // FAISS's own, for measuring beside it.
  const faiss::Index& faiss_index() const { return *index_; }

  // What FAISS was compiled for, e.g. "AVX2" or "GENERIC" (SSE).
  static std::string Simd();
  // FailedPrecondition when this machine's processor cannot run that.
  static absl::Status CheckProcessor();

 private:
  FaissIndex(std::string factory, const ItemVectors& vectors);

  absl::Status Fill(const Options& options, const Progress& progress);
  void Set(const Options& options);
  void Rescore(std::span<const float> query, std::span<Hit> hits) const;

  const std::string factory_;
  const ItemVectors& vectors_;  // FAISS's number n is item vectors_.items()[n]
  std::unique_ptr<faiss::Index> index_;
  bool takes_parameters_ = false;  // a search may have settings of its own
  bool filters_inside_ = false;
  bool compresses_ = false;
  size_t bytes_ = 0;
};

// scores[i] = <query, row i of `rows`>, for scores.size() rows of query.size() numbers: bit by bit
// what the exact kinds of FaissIndex compute.
void InnerProducts(std::span<const float> query, const float* rows, std::span<float> scores);
// scores[i] = <query, the vector of items[i]>, likewise; each item has one. The rows may be
// anywhere in memory: a loop that does nothing else has those of several items on their way at a
// time.
void InnerProducts(std::span<const float> query, const ItemVectors& vectors,
                   std::span<const ItemIndex> items, std::span<float> scores);

// Keeps FAISS and its BLAS on the calling thread, for threads that search: one request is the work
// of one thread.
void SearchOnOneThread();

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_FAISS_INDEX_H_
