// FaissIndex: an approximate index by inner product, of any kind that FAISS's factory language
// names ("IVF4096,Flat", "HNSW32", "IVF1024,PQ32x4fs"), and FAISS's clustering for kinds of our
// own. The only file that knows FAISS.
#ifndef GROUNDSWELL_INDEX_VECTORS_FAISS_INDEX_H_
#define GROUNDSWELL_INDEX_VECTORS_FAISS_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/vectors/approximate_index.h"
#include "index/vectors/item_vectors.h"

namespace faiss {
struct Index;
}  // namespace faiss

namespace groundswell {

// Immutable once built; use from any thread.
class FaissIndex final : public ApproximateIndex {
 public:
  struct Options {
    std::string factory;
    size_t nprobe = 16;      // lists visited per search, of IVF kinds
    size_t ef_search = 500;  // candidates held per search, of HNSW kinds; at least what is fetched
    size_t threads = 1;      // that build it
  };
  // Trains on a sample and adds every item. `vectors` must outlive the index. InvalidArgument names
  // retrieval.factory, its value and what FAISS has to say; Cancelled when `progress` said so.
  static absl::StatusOr<std::unique_ptr<FaissIndex>> Build(const ItemVectors& vectors,
                                                           const Options& options,
                                                           const IndexProgress& progress = nullptr);
  // Whether FAISS knows the factory string, and searches by inner product under it; as above.
  static absl::Status Check(const std::string& factory, size_t dim);

  ~FaissIndex() override;

  absl::Status Search(std::span<const float> query, size_t fetch, const AdmittedItems* admitted,
                      double widening, std::vector<Hit>& hits) const override;

  Filters filters() const override {
    return filters_inside_ ? Filters::kEveryRow : Filters::kOutside;
  }
  bool compresses() const override { return compresses_; }
  double share_visited() const override;
  const std::string& kind() const override { return factory_; }
  size_t size() const override { return vectors_.size(); }
  // What FAISS would write to a file, which is close to what it keeps in memory.
  size_t bytes() const override { return bytes_; }

  // FAISS's own, for measuring beside it.
  const faiss::Index& faiss_index() const { return *index_; }

  // What FAISS was compiled for, e.g. "AVX2" or "GENERIC" (SSE).
  static std::string Simd();
  // FailedPrecondition when this machine's processor cannot run that.
  static absl::Status CheckProcessor();

 private:
  FaissIndex(std::string factory, const ItemVectors& vectors);

  absl::Status Fill(const Options& options, const IndexProgress& progress);
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

// The clusters that an IVF kind with so many lists has: the number of its cluster for each of
// vectors.items(), that of the centroid with the highest inner product. Errors as
// FaissIndex::Build's.
absl::StatusOr<std::vector<uint32_t>> ClusterVectors(const ItemVectors& vectors, size_t clusters,
                                                     size_t threads, const IndexProgress& progress);

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
