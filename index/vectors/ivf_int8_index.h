// IvfInt8Index: inverted lists whose vectors are 8-bit integers ("IVF4096,Int8"), beside the exact
// vectors that the best of them are scored by.
//
//   lists    by FAISS's clustering, as its IVF kinds have them (Sivic, Zisserman, ICCV 2003)
//   codes    of each vector less the mean of its list, as of Jegou, Douze, Schmid, "Product
//            Quantization for Nearest Neighbor Search", PAMI 2011; a byte per number
//            (index/vectors/int8_codes.h)
//   search   1. the nprobe lists whose means, likewise as codes, have the highest inner product
//            2. of every vector in them <q, mean> + <q, code>
//            3. of the best by that <q, vector>, which is the answer's score
//
// A search reads a byte per number where FAISS's Flat lists are read at four, and so takes a
// quarter of the time where memory is what it waits for. Codes only choose what is scored exactly:
// they decide which items an answer has, never with which scores.
#ifndef GROUNDSWELL_INDEX_VECTORS_IVF_INT8_INDEX_H_
#define GROUNDSWELL_INDEX_VECTORS_IVF_INT8_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/vectors/approximate_index.h"
#include "index/vectors/int8_codes.h"
#include "index/vectors/item_vectors.h"

namespace groundswell {

// Immutable once built; use from any thread.
class IvfInt8Index final : public ApproximateIndex {
 public:
  struct Options {
    size_t lists = 1'024;
    size_t nprobe = 64;  // lists visited per search
    size_t threads = 1;  // that build it
  };

  // The lists of "IVF<lists>,Int8"; nothing where the string is no such kind. InvalidArgument names
  // retrieval.factory and its value where it is one with no lists, or with too many.
  static absl::StatusOr<std::optional<size_t>> ListsOf(std::string_view factory);

  // Clusters the vectors and puts each into its list. `vectors` must outlive the index. Errors as
  // FaissIndex::Build's.
  static absl::StatusOr<std::unique_ptr<IvfInt8Index>> Build(
      const ItemVectors& vectors, const Options& options, const IndexProgress& progress = nullptr);
  // The same with given lists: `list_of_row` has the number of the list, below `lists`, of each of
  // vectors.items().
  IvfInt8Index(const ItemVectors& vectors, std::span<const uint32_t> list_of_row, size_t lists,
               size_t nprobe);

  absl::Status Search(std::span<const float> query, size_t fetch, const AdmittedItems* admitted,
                      double widening, std::vector<Hit>& hits) const override;

  Filters filters() const override { return Filters::kBestFirst; }
  bool compresses() const override { return false; }  // a search scores more by itself
  double share_visited() const override;
  const std::string& kind() const override { return kind_; }
  size_t size() const override { return items_.size(); }
  size_t bytes() const override;

 private:
  struct List {
    uint32_t begin = 0;  // of its items in items_
    uint32_t size = 0;
    size_t block = 0;  // of its codes in codes_, the first
  };
  struct Scratch;

  void AppendList(std::span<const ItemIndex> items);
  std::span<const float> Mean(uint32_t list) const {
    return std::span(means_).subspan(size_t{list} * vectors_.dim(), vectors_.dim());
  }
  void ChooseLists(size_t nprobe, Scratch& scratch) const;
  void ScoreLists(std::span<const float> query, Scratch& scratch) const;
  void ChooseItems(size_t fetch, const AdmittedItems* admitted, double widening,
                   Scratch& scratch) const;
  ItemIndex ItemAt(uint32_t position, const Scratch& scratch) const;
  void ScoreItems(std::span<const float> query, Scratch& scratch) const;

  const ItemVectors& vectors_;
  const size_t nprobe_;
  const std::string kind_;
  std::vector<float> means_;  // lists x dim; of a list without items 0
  Int8Codes mean_codes_;
  Int8Codes codes_;  // list by list
  std::vector<List> lists_;
  std::vector<ItemIndex> items_;  // list by list
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_IVF_INT8_INDEX_H_
