#include "index/vectors/faiss_index.h"

#include <cblas.h>
#include <faiss/AutoTune.h>
#include <faiss/IVFlib.h>
#include <faiss/Index.h>
#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexPQ.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/impl/IDSelector.h>
#include <faiss/impl/io.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>
#include <faiss/utils/distances.h>
#include <faiss/utils/utils.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <regex>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "index/vectors/faiss_training.h"

namespace groundswell {
namespace {

using FaissId = faiss::Index::idx_t;

// Rows added between two calls of the progress callback.
constexpr size_t kRowsPerStep = 8'192;
class AdmittedRows final : public faiss::IDSelector {
 public:
  AdmittedRows(const AdmittedItems& admitted, const ItemVectors& vectors)
      : admitted_(admitted),
        items_(vectors.is_trained_matrix() ? std::span<const ItemIndex>() : vectors.items()) {}
  bool is_member(idx_t id) const override {
    const auto row = static_cast<size_t>(id);
    return admitted_(items_.empty() ? static_cast<ItemIndex>(row) : items_[row]);
  }

 private:
  const AdmittedItems& admitted_;
  const std::span<const ItemIndex> items_;  // by row; none: the row is the item
};

class NoRow final : public faiss::IDSelector {
 public:
  bool is_member(idx_t) const override { return false; }
};

// The search parameters in the shape that the kind of index wants. Not movable: parameters() points
// into this object.
class SearchSettings {
 public:
  SearchSettings(const faiss::Index& index, faiss::IDSelector* selector, double widening = 1) {
    if (const auto* ivf = dynamic_cast<const faiss::IndexIVF*>(&index)) {
      ivf_.nprobe =
          std::min(ivf->nlist,
                   static_cast<size_t>(std::lround(static_cast<double>(ivf->nprobe) * widening)));
      ivf_.max_codes = ivf->max_codes;
      parameters_ = &ivf_;
    } else if (const auto* hnsw = dynamic_cast<const faiss::IndexHNSW*>(&index)) {
      hnsw_.efSearch = hnsw->hnsw.efSearch;
      hnsw_.check_relative_distance = hnsw->hnsw.check_relative_distance;
      parameters_ = &hnsw_;
    }
    parameters_->sel = selector;
  }
  SearchSettings(const SearchSettings&) = delete;
  SearchSettings& operator=(const SearchSettings&) = delete;

  const faiss::SearchParameters* parameters() const { return parameters_; }

 private:
  faiss::SearchParameters plain_;
  faiss::SearchParametersIVF ivf_;
  faiss::SearchParametersHNSW hnsw_;
  faiss::SearchParameters* parameters_ = &plain_;
};

// What a search under these settings finds, -1 for nothing. Asked of the index itself: some kinds
// throw on any parameters, some ignore a selector. No value: it throws.
std::optional<FaissId> FindOne(const faiss::Index& index, faiss::IDSelector* selector,
                               const float* any_row) {
  const SearchSettings settings(index, selector);
  float score = 0;
  FaissId id = -1;
  try {
    index.search(1, any_row, 1, &score, &id, settings.parameters());
  } catch (const std::exception&) {
    return std::nullopt;
  }
  return id;
}

// Whether scores come from the vectors as they are, not from a compressed form of them.
bool KeepsVectors(const faiss::Index& index) {
  return dynamic_cast<const faiss::IndexFlat*>(&index) != nullptr ||
         dynamic_cast<const faiss::IndexIVFFlat*>(&index) != nullptr ||
         dynamic_cast<const faiss::IndexHNSWFlat*>(&index) != nullptr;
}

absl::Status Refusal(const std::string& factory, const std::string& why) {
  return absl::InvalidArgumentError(
      absl::StrCat("retrieval.factory \"", factory, "\" ", why,
                   "; \"auto\" chooses a kind by the number of items"));
}

// Without the names of FAISS's own functions and files before it.
std::string Reason(const std::exception& e) {
  const std::string text = e.what();
  const size_t file = text.find(".cpp:");
  const size_t begin = file == std::string::npos ? file : text.find(": ", file);
  return begin == std::string::npos ? text : text.substr(begin + 2);
}

// What FAISS takes without a look and crashes or aborts on while it builds: kinds that it ends the
// process over when there are too few rows, and numbers of nothing. Nothing: it may be tried.
std::optional<std::string> KnownCrash(const std::string& factory) {
  static const auto* const component = new std::regex("([A-Za-z]+)([0-9]*)[^,]*");
  static const auto* const number = new std::regex("[0-9]+");
  static const auto* const links = new std::regex("HNSW([0-9]+)");
  static const auto* const known =
      new std::regex("IVF|HNSW|PQ|SQ|SQfp|Flat|OPQ|PCA|PCAR|PCAW|PCAWR|RR|RFlat|Refine|LSH|L");
  for (std::sregex_iterator at(factory.begin(), factory.end(), *component), end; at != end; ++at) {
    if (!std::regex_match((*at)[1].str(), *known)) {
      return absl::StrCat(
          "names \"", (*at)[1].str(),
          "\", which is none of IVF, HNSW, PQ, SQ, Flat, OPQ, PCA, RR, RFlat and Refine");
    }
  }
  for (std::sregex_iterator at(factory.begin(), factory.end(), *number), end; at != end; ++at) {
    const std::string digits = at->str();
    if (digits.size() > 8 || std::stoi(digits) == 0) {
      return absl::StrCat("has the number ", digits, "; numbers must be 1 to 99999999");
    }
  }
  for (std::sregex_iterator at(factory.begin(), factory.end(), *links), end; at != end; ++at) {
    const int count = std::stoi((*at)[1].str());
    if (count < 2 || count > 512) {
      return absl::StrCat("has HNSW with ", count, " links; there must be 2 to 512");
    }
  }
  return std::nullopt;
}

// FAISS's index of that kind, empty. Throws what FAISS throws.
absl::StatusOr<std::unique_ptr<faiss::Index>> MakeEmpty(const std::string& factory, size_t dim) {
  if (const auto why = KnownCrash(factory); why.has_value()) return Refusal(factory, *why);
  std::unique_ptr<faiss::Index> index(
      faiss::index_factory(static_cast<int>(dim), factory.c_str(), faiss::METRIC_INNER_PRODUCT));
  if (index->metric_type != faiss::METRIC_INNER_PRODUCT) {
    return Refusal(factory, "cannot search by inner product");
  }
  if (auto* ivf = faiss::ivflib::try_extract_index_ivf(index.get())) {
    if (ivf->nlist == 0) {  // FAISS would abort at the first row
      return Refusal(factory, "has no lists");
    }
  }
  return index;
}

// What this thread's parallel regions and the BLAS of FAISS take, for the life of the object.
class BuildThreads {
 public:
  explicit BuildThreads(size_t threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(static_cast<int>(threads));
    openblas_set_num_threads(static_cast<int>(threads));
  }
  ~BuildThreads() {
    omp_set_num_threads(before_);
    openblas_set_num_threads(1);
  }
  BuildThreads(const BuildThreads&) = delete;
  BuildThreads& operator=(const BuildThreads&) = delete;

 private:
  const int before_;
};

class ByteCount final : public faiss::IOWriter {
 public:
  size_t operator()(const void* /*bytes*/, size_t size, size_t count) override {
    total += size * count;
    return count;
  }
  size_t total = 0;
};

// What one search of FAISS writes into; a thread's own, so that a search allocates nothing.
struct Results {
  std::vector<float> scores;
  std::vector<FaissId> ids;
};

Results& ResultsOfThread(size_t fetch) {
  thread_local Results results;
  results.scores.resize(fetch);
  results.ids.resize(fetch);
  return results;
}

}  // namespace

FaissIndex::FaissIndex(std::string factory, const ItemVectors& vectors)
    : factory_(std::move(factory)), vectors_(vectors) {}

FaissIndex::~FaissIndex() = default;

absl::Status FaissIndex::Check(const std::string& factory, size_t dim) {
  try {
    return MakeEmpty(factory, dim).status();
  } catch (const std::exception& e) {
    return Refusal(factory,
                   absl::StrCat("does not index vectors of length ", dim, ": ", Reason(e)));
  }
}

absl::StatusOr<std::unique_ptr<FaissIndex>> FaissIndex::Build(const ItemVectors& vectors,
                                                              const Options& options,
                                                              const IndexProgress& progress) {
  std::unique_ptr<FaissIndex> index(new FaissIndex(options.factory, vectors));
  const BuildThreads threads(options.threads);
  try {
    if (absl::Status s = index->Fill(options, progress); !s.ok()) return s;
  } catch (const FaissCancelled& cancelled) {
    return absl::CancelledError(cancelled.what());
  } catch (const std::exception& e) {
    return Refusal(options.factory,
                   absl::StrCat("does not index ", vectors.size(), " items of length ",
                                vectors.dim(), ": ", Reason(e)));
  }
  return index;
}

absl::Status FaissIndex::Fill(const Options& options, const IndexProgress& progress) {
  auto empty = MakeEmpty(factory_, vectors_.dim());
  if (!empty.ok()) return empty.status();
  index_ = *std::move(empty);
  const auto report = [&](size_t done) { return !progress || progress(done, vectors_.size()); };
  if (!report(0)) throw FaissCancelled();

  std::vector<float> copy;
  TrainFaiss(
      vectors_, [&report] { return report(0); }, *index_, copy);
  for (size_t done = 0; done < vectors_.size();) {
    const size_t step = std::min(kRowsPerStep, vectors_.size() - done);
    index_->add(static_cast<FaissId>(step), FaissRows(vectors_, done, step, 1, copy));
    done += step;
    if (!report(done)) throw FaissCancelled();
  }

  Set(options);
  ByteCount bytes;
  faiss::write_index(index_.get(), &bytes);
  bytes_ = bytes.total;
  compresses_ = !KeepsVectors(*index_);
  if (vectors_.size() > 0) {
    const float* const any_row = vectors_.Of(vectors_.items()[0]).data();
    NoRow nothing;
    takes_parameters_ = FindOne(*index_, nullptr, any_row).has_value();
    filters_inside_ = FindOne(*index_, &nothing, any_row) == FaissId{-1};
  }
  return absl::OkStatus();
}

// Parameters that the kind does not have are none of its business.
void FaissIndex::Set(const Options& options) {
  const faiss::ParameterSpace space;
  for (const auto& [parameter, value] :
       {std::pair("nprobe", options.nprobe), std::pair("efSearch", options.ef_search)}) {
    try {
      space.set_index_parameter(index_.get(), parameter, static_cast<double>(value));
    } catch (const std::exception&) {
    }
  }
}

absl::Status FaissIndex::Search(std::span<const float> query, size_t fetch,
                                const AdmittedItems* admitted, double widening,
                                std::vector<Hit>& hits) const {
  hits.clear();
  if (size() == 0) return absl::OkStatus();
  const size_t count = std::min(fetch, size());
  Results& results = ResultsOfThread(count);
  try {
    if (admitted == nullptr && (widening == 1 || !takes_parameters_)) {
      index_->search(1, query.data(), static_cast<FaissId>(count), results.scores.data(),
                     results.ids.data());
    } else {
      std::optional<AdmittedRows> selector;
      if (admitted != nullptr) selector.emplace(*admitted, vectors_);
      const SearchSettings settings(*index_, selector ? &*selector : nullptr, widening);
      index_->search(1, query.data(), static_cast<FaissId>(count), results.scores.data(),
                     results.ids.data(), settings.parameters());
    }
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("search of index \"", factory_, "\": ", Reason(e)));
  }
  const bool number_is_item = vectors_.is_trained_matrix();
  for (size_t i = 0; i < count && results.ids[i] >= 0; ++i) {  // -1 pads an answer
    const auto number = static_cast<size_t>(results.ids[i]);
    hits.push_back({number_is_item ? static_cast<ItemIndex>(number) : vectors_.items()[number],
                    results.scores[i]});
  }
  if (compresses_) Rescore(query, hits);
  return absl::OkStatus();
}

// A loop of its own for the same reason as InnerProducts.
void FaissIndex::Rescore(std::span<const float> query, std::span<Hit> hits) const {
  for (Hit& hit : hits) {
    const float* const row = vectors_.Of(hit.item).data();
    hit.score = faiss::fvec_inner_product(query.data(), row, query.size());
  }
}

namespace {

absl::StatusOr<std::vector<uint32_t>> ClusterOrThrow(const ItemVectors& vectors, size_t clusters,
                                                     const IndexProgress& progress) {
  // Its lists stay empty: only the clustering is wanted.
  auto empty = MakeEmpty(absl::StrCat("IVF", clusters, ",Flat"), vectors.dim());
  if (!empty.ok()) return empty.status();
  const auto report = [&](size_t done) { return !progress || progress(done, vectors.size()); };
  if (!report(0)) throw FaissCancelled();
  std::vector<float> copy;
  TrainFaiss(
      vectors, [&report] { return report(0); }, **empty, copy);
  const faiss::Index& quantizer = *dynamic_cast<const faiss::IndexIVF&>(**empty).quantizer;
  std::vector<uint32_t> cluster_of_row;
  cluster_of_row.reserve(vectors.size());
  std::vector<FaissId> lists(kRowsPerStep);
  for (size_t done = 0; done < vectors.size();) {
    const size_t step = std::min(kRowsPerStep, vectors.size() - done);
    quantizer.assign(static_cast<FaissId>(step), FaissRows(vectors, done, step, 1, copy),
                     lists.data());
    for (const FaissId list : std::span(lists).first(step)) {
      cluster_of_row.push_back(static_cast<uint32_t>(list));
    }
    done += step;
    if (!report(done)) throw FaissCancelled();
  }
  return cluster_of_row;
}

}  // namespace

absl::StatusOr<std::vector<uint32_t>> ClusterVectors(const ItemVectors& vectors, size_t clusters,
                                                     size_t threads,
                                                     const IndexProgress& progress) {
  const BuildThreads build_threads(threads);
  try {
    return ClusterOrThrow(vectors, clusters, progress);
  } catch (const FaissCancelled& cancelled) {
    return absl::CancelledError(cancelled.what());
  } catch (const std::exception& e) {
    return Refusal(absl::StrCat("IVF", clusters, ",Int8"),
                   absl::StrCat("does not index ", vectors.size(), " items of length ",
                                vectors.dim(), ": ", Reason(e)));
  }
}

double FaissIndex::share_visited() const {
  const auto* ivf = dynamic_cast<const faiss::IndexIVF*>(index_.get());
  if (ivf == nullptr || !takes_parameters_) return 0;
  return std::min(1.0, static_cast<double>(ivf->nprobe) / static_cast<double>(ivf->nlist));
}

std::string FaissIndex::Simd() {
  const std::string options = faiss::get_compile_options();
  return std::string(absl::StripPrefix(options, "OPTIMIZE "));
}

absl::Status FaissIndex::CheckProcessor() {
#ifdef __x86_64__
  if (Simd() == "AVX2" && (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))) {
    return absl::FailedPreconditionError(
        "this server was built with a FAISS for AVX2, which this processor does not have; build "
        "it without GROUNDSWELL_FAISS_DIR");
  }
#endif
  return absl::OkStatus();
}

namespace {

// A FAISS without AVX2 adds one product after the other, and each waits for the sum before it: the
// sums of so many rows side by side are the same bits in less than half the time.
constexpr size_t kRowsSideBySide = 8;

using EightFloats = float __attribute__((vector_size(8 * sizeof(float))));

// The numbers `at` to `at` + 7 of eight rows, turned: one vector per column, of all the rows.
[[gnu::always_inline]] inline std::array<EightFloats, kRowsSideBySide> ColumnsOf(
    const std::array<const float*, kRowsSideBySide>& rows, size_t at) {
  std::array<EightFloats, kRowsSideBySide> in;
  std::array<EightFloats, kRowsSideBySide> out;
  for (size_t row = 0; row < in.size(); ++row) {
    std::memcpy(&in[row], rows[row] + at, sizeof(EightFloats));
  }
  // Pairs of rows, then fours, then all eight: each step within the halves that registers have.
  for (size_t i = 0; i < 8; i += 2) {
    out[i] = __builtin_shufflevector(in[i], in[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    out[i + 1] = __builtin_shufflevector(in[i], in[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (size_t i = 0; i < 8; i += 4) {
    in[i] = __builtin_shufflevector(out[i], out[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    in[i + 1] = __builtin_shufflevector(out[i], out[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    in[i + 2] = __builtin_shufflevector(out[i + 1], out[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
    in[i + 3] = __builtin_shufflevector(out[i + 1], out[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (size_t i = 0; i < 4; ++i) {
    out[i] = __builtin_shufflevector(in[i], in[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    out[i + 4] = __builtin_shufflevector(in[i], in[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  return out;
}

void InnerProductsSideBySide(std::span<const float> query,
                             const std::array<const float*, kRowsSideBySide>& rows, float* scores) {
  EightFloats sums{};
  size_t at = 0;
  for (; at + kRowsSideBySide <= query.size(); at += kRowsSideBySide) {
    const auto columns = ColumnsOf(rows, at);
    for (size_t i = 0; i < columns.size(); ++i) sums += query[at + i] * columns[i];
  }
  for (; at < query.size(); ++at) {
    for (size_t row = 0; row < kRowsSideBySide; ++row) sums[row] += query[at] * rows[row][at];
  }
  std::memcpy(scores, &sums, sizeof(sums));
}

// `row_of(i)`: the row of scores[i].
template <typename RowOf>
void InnerProductsOf(std::span<const float> query, std::span<float> scores, const RowOf& row_of) {
  static const bool one_by_one = FaissIndex::Simd() == "GENERIC";
  size_t at = 0;
  for (; one_by_one && at + kRowsSideBySide <= scores.size(); at += kRowsSideBySide) {
    std::array<const float*, kRowsSideBySide> rows;
    for (size_t row = 0; row < kRowsSideBySide; ++row) rows[row] = row_of(at + row);
    InnerProductsSideBySide(query, rows, scores.data() + at);
  }
  for (; at < scores.size(); ++at) {
    scores[at] = faiss::fvec_inner_product(query.data(), row_of(at), query.size());
  }
}

}  // namespace

void InnerProducts(std::span<const float> query, const float* rows, std::span<float> scores) {
  InnerProductsOf(query, scores, [&](size_t i) { return rows + i * query.size(); });
}

void InnerProducts(std::span<const float> query, const ItemVectors& vectors,
                   std::span<const ItemIndex> items, std::span<float> scores) {
  InnerProductsOf(query, scores.first(items.size()),
                  [&](size_t i) { return vectors.Of(items[i]).data(); });
}

void SearchOnOneThread() {
  thread_local const bool once = [] {
    omp_set_num_threads(1);
    openblas_set_num_threads(1);
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace groundswell
