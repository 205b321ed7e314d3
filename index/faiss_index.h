// FaissSource: candidates by inner product of a vector with the item embeddings.
//
// Below `flat_max_items` the search is exact; above it, the index that `factory` names in FAISS's
// own language ("IVF1024,Flat", "HNSW32") is trained and filled. Filters act inside the search
// where the kind of index can do that, else the search fetches more and leaves out. In both cases
// an answer that the approximate search could not fill is completed by an exact scan of the
// admitted items, so that a narrow filter never turns into an empty page.
#ifndef GROUNDSWELL_INDEX_FAISS_SOURCE_H_
#define GROUNDSWELL_INDEX_FAISS_SOURCE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "index/candidate_source.h"

namespace faiss {
struct Index;
}  // namespace faiss

namespace groundswell {

class FaissSource final : public CandidateSource {
 public:
  struct Options {
    size_t flat_max_items = 50'000;
    std::string factory = "IVF1024,Flat";  // used above flat_max_items
    size_t nprobe = 16;                    // lists visited per search, of IVF kinds
    size_t ef_search = 500;                // candidates held per search, of HNSW kinds
  };
  // Told how many of the items are indexed, from the building thread.
  using Progress = std::function<void(size_t done, size_t total)>;

  // Indexes `embeddings`, items x dim, row-major; item i is row i. The matrix must outlive the
  // source and be finite. No items at all is allowed. Errors name the factory string or the row at
  // fault.
  static absl::StatusOr<std::unique_ptr<FaissSource>> Build(std::span<const float> embeddings,
                                                            size_t dim, const Options& options,
                                                            const Progress& progress = nullptr);
  ~FaissSource() override;

  std::string_view name() const override { return "embedding"; }

  // Score: the inner product. Equal scores are in ascending order of item. InvalidArgument when the
  // query's vector is not `dim` finite numbers.
  absl::StatusOr<std::vector<Candidate>> Retrieve(const CandidateQuery& query) const override;

  // "Flat", or the factory string in use.
  const std::string& kind() const { return kind_; }
  // What FAISS was compiled for, e.g. "AVX2" or "GENERIC".
  static std::string simd();

 private:
  FaissSource(std::span<const float> embeddings, size_t dim);

  absl::Status Fill(const Options& options, const Progress& progress);
  size_t item_count() const { return embeddings_.size() / dim_; }
  // One search of the index for `fetch` items; only admitted ones, in no particular order.
  std::vector<Candidate> Search(const CandidateQuery& query, size_t fetch) const;
  std::vector<Candidate> SearchUntilFull(const CandidateQuery& query) const;
  std::vector<Candidate> ScanAll(const CandidateQuery& query) const;
  float Score(std::span<const float> vector, ItemIndex item) const;

  const std::span<const float> embeddings_;
  const size_t dim_;
  std::string kind_ = "Flat";
  std::unique_ptr<faiss::Index> index_;
  bool filters_inside_ = false;  // the index honours an IDSelector
  bool exact_ = true;            // a short answer means that there is nothing more
  bool keeps_vectors_ = true;    // the index's own scores are exact
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_FAISS_SOURCE_H_
