#include "index/faiss_source.h"

#include <faiss/AutoTune.h>
#include <faiss/Index.h>
#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/impl/IDSelector.h>
#include <faiss/index_factory.h>
#include <faiss/utils/distances.h>
#include <faiss/utils/utils.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace groundswell {
namespace {

// Rows added between two calls of the progress callback.
constexpr size_t kRowsPerStep = 65'536;
// Of indexes that cannot filter: how much more than asked for the first search fetches, by how much
// each further one widens, and where an exact scan becomes cheaper than widening.
constexpr size_t kFirstFetchFactor = 2;
constexpr size_t kFetchGrowth = 4;
constexpr size_t kLastFetchFactor = 32;

class AdmittedItems final : public faiss::IDSelector {
 public:
  explicit AdmittedItems(const ItemFilter& filter) : filter_(filter) {}
  bool is_member(idx_t id) const override { return filter_.Admits(static_cast<ItemIndex>(id)); }

 private:
  const ItemFilter& filter_;
};

class NoItem final : public faiss::IDSelector {
 public:
  bool is_member(idx_t) const override { return false; }
};

// The search parameters in the shape that the kind of index wants. Not movable: parameters() points
// into this object.
class FilteredSearch {
 public:
  FilteredSearch(const faiss::Index& index, faiss::IDSelector& selector) {
    if (const auto* ivf = dynamic_cast<const faiss::IndexIVF*>(&index)) {
      ivf_.nprobe = ivf->nprobe;
      ivf_.max_codes = ivf->max_codes;
      parameters_ = &ivf_;
    } else if (const auto* hnsw = dynamic_cast<const faiss::IndexHNSW*>(&index)) {
      hnsw_.efSearch = hnsw->hnsw.efSearch;
      hnsw_.check_relative_distance = hnsw->hnsw.check_relative_distance;
      parameters_ = &hnsw_;
    }
    parameters_->sel = &selector;
  }
  FilteredSearch(const FilteredSearch&) = delete;
  FilteredSearch& operator=(const FilteredSearch&) = delete;

  const faiss::SearchParameters* parameters() const { return parameters_; }

 private:
  faiss::SearchParameters plain_;
  faiss::SearchParametersIVF ivf_;
  faiss::SearchParametersHNSW hnsw_;
  faiss::SearchParameters* parameters_ = &plain_;
};

// Asked of the index itself: some kinds throw on a selector, some ignore it.
bool HonoursSelector(const faiss::Index& index, const float* any_row) {
  NoItem nothing;
  const FilteredSearch search(index, nothing);
  float score = 0;
  faiss::Index::idx_t id = -1;
  try {
    index.search(1, any_row, 1, &score, &id, search.parameters());
  } catch (const std::exception&) {
    return false;
  }
  return id < 0;
}

// Whether scores come from the vectors as they are, not from a compressed form of them.
bool KeepsVectors(const faiss::Index& index) {
  return dynamic_cast<const faiss::IndexFlat*>(&index) != nullptr ||
         dynamic_cast<const faiss::IndexIVFFlat*>(&index) != nullptr ||
         dynamic_cast<const faiss::IndexHNSWFlat*>(&index) != nullptr;
}

bool Better(const Candidate& a, const Candidate& b) {
  return a.score != b.score ? a.score > b.score : a.item < b.item;
}

absl::Status CheckMatrix(std::span<const float> embeddings, size_t dim) {
  if (dim == 0 || embeddings.size() % dim != 0) {
    return absl::InvalidArgumentError(absl::StrCat("item embeddings: ", embeddings.size(),
                                                   " numbers are no rows of length ", dim));
  }
  const auto bad =
      std::ranges::find_if(embeddings, [](float value) { return !std::isfinite(value); });
  if (bad != embeddings.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("item embeddings: row ", static_cast<size_t>(bad - embeddings.begin()) / dim,
                     " holds ", *bad, "; every number must be finite"));
  }
  return absl::OkStatus();
}

// A thread's own setting, made once: one request is one thread's work.
void SearchOnOneThread() {
  thread_local const bool once = [] {
    omp_set_num_threads(1);
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace

FaissSource::FaissSource(std::span<const float> embeddings, size_t dim)
    : embeddings_(embeddings), dim_(dim) {}

FaissSource::~FaissSource() = default;

absl::StatusOr<std::unique_ptr<FaissSource>> FaissSource::Build(std::span<const float> embeddings,
                                                                size_t dim, const Options& options,
                                                                const Progress& progress) {
  if (absl::Status s = CheckMatrix(embeddings, dim); !s.ok()) return s;
  std::unique_ptr<FaissSource> source(new FaissSource(embeddings, dim));
  if (source->item_count() > options.flat_max_items) source->kind_ = options.factory;
  try {
    if (absl::Status s = source->Fill(options, progress); !s.ok()) return s;
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat("retrieval.factory \"", source->kind_,
                                                   "\" does not index ", source->item_count(),
                                                   " items of length ", dim, ": ", e.what()));
  }
  return source;
}

absl::Status FaissSource::Fill(const Options& options, const Progress& progress) {
  index_.reset(
      faiss::index_factory(static_cast<int>(dim_), kind_.c_str(), faiss::METRIC_INNER_PRODUCT));
  if (index_->metric_type != faiss::METRIC_INNER_PRODUCT) {
    return absl::InvalidArgumentError(absl::StrCat(
        "retrieval.factory \"", kind_, "\" cannot search by inner product; try \"IVF1024,Flat\""));
  }
  if (auto* ivf = dynamic_cast<faiss::IndexIVF*>(index_.get())) {
    if (ivf->nlist == 0) {  // FAISS would abort at the first row
      return absl::InvalidArgumentError(
          absl::StrCat("retrieval.factory \"", kind_, "\" has no lists; try \"IVF1024,Flat\""));
    }
    ivf->cp.min_points_per_centroid = 1;  // else FAISS prints a warning to standard error
  }
  const size_t items = item_count();
  if (items > 0) index_->train(static_cast<int64_t>(items), embeddings_.data());
  for (size_t done = 0; done < items;) {
    const size_t step = std::min(kRowsPerStep, items - done);
    index_->add(static_cast<int64_t>(step), embeddings_.data() + done * dim_);
    done += step;
    if (progress) progress(done, items);
  }

  // Parameters that the kind does not have are none of its business.
  const faiss::ParameterSpace space;
  for (const auto& [parameter, value] :
       {std::pair("nprobe", options.nprobe), std::pair("efSearch", options.ef_search)}) {
    try {
      space.set_index_parameter(index_.get(), parameter, static_cast<double>(value));
    } catch (const std::exception&) {
    }
  }
  exact_ = dynamic_cast<const faiss::IndexFlat*>(index_.get()) != nullptr;
  keeps_vectors_ = KeepsVectors(*index_);
  filters_inside_ = items == 0 || HonoursSelector(*index_, embeddings_.data());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Candidate>> FaissSource::Retrieve(const CandidateQuery& query) const {
  if (query.vector.size() != dim_) {
    return absl::InvalidArgumentError(
        absl::StrCat("query vector: ", query.vector.size(), " numbers; must be ", dim_));
  }
  if (!std::ranges::all_of(query.vector, [](float value) { return std::isfinite(value); })) {
    return absl::InvalidArgumentError("query vector: every number must be finite");
  }
  if (query.count == 0 || item_count() == 0) return std::vector<Candidate>();

  SearchOnOneThread();
  std::vector<Candidate> found;
  try {
    found = SearchUntilFull(query);
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("search of index \"", kind_, "\": ", e.what()));
  }
  std::ranges::sort(found, Better);
  if (found.size() > query.count) found.resize(query.count);
  return found;
}

std::vector<Candidate> FaissSource::SearchUntilFull(const CandidateQuery& query) const {
  const size_t wanted = std::min(query.count, item_count());
  if (filters_inside_ || query.filter.AdmitsAll()) {
    std::vector<Candidate> found = Search(query, wanted);
    return exact_ || found.size() >= wanted ? found : ScanAll(query);
  }
  for (size_t factor = kFirstFetchFactor; factor <= kLastFetchFactor; factor *= kFetchGrowth) {
    const size_t fetch = std::min(wanted * factor, item_count());
    std::vector<Candidate> found = Search(query, fetch);
    if (found.size() >= wanted) return found;
    if (fetch == item_count()) break;
  }
  return ScanAll(query);
}

std::vector<Candidate> FaissSource::Search(const CandidateQuery& query, size_t fetch) const {
  AdmittedItems admitted(query.filter);
  const FilteredSearch filtered(*index_, admitted);
  const bool filter_now = filters_inside_ && !query.filter.AdmitsAll();
  std::vector<float> scores(fetch);
  std::vector<faiss::Index::idx_t> ids(fetch);
  index_->search(1, query.vector.data(), static_cast<int64_t>(fetch), scores.data(), ids.data(),
                 filter_now ? filtered.parameters() : nullptr);

  std::vector<Candidate> found;
  found.reserve(fetch);
  for (size_t i = 0; i < fetch; ++i) {
    const auto item = static_cast<ItemIndex>(ids[i]);
    if (ids[i] < 0 || !query.filter.Admits(item)) continue;  // -1 pads an answer
    const float score = keeps_vectors_ ? scores[i] : Score(query.vector, item);
    // A product of huge numbers can overflow into not-a-number, which no order can hold.
    if (!std::isnan(score)) found.push_back({item, score, kFromEmbedding});
  }
  return found;
}

std::vector<Candidate> FaissSource::ScanAll(const CandidateQuery& query) const {
  std::vector<Candidate> best;  // a heap whose front is the worst
  for (size_t i = 0; i < item_count(); ++i) {
    const auto item = static_cast<ItemIndex>(i);
    if (!query.filter.Admits(item)) continue;
    const Candidate candidate{item, Score(query.vector, item), kFromEmbedding};
    if (std::isnan(candidate.score)) continue;
    if (best.size() == query.count) {
      if (!Better(candidate, best.front())) continue;
      std::ranges::pop_heap(best, Better);
      best.pop_back();
    }
    best.push_back(candidate);
    std::ranges::push_heap(best, Better);
  }
  return best;
}

float FaissSource::Score(std::span<const float> vector, ItemIndex item) const {
  return faiss::fvec_inner_product(vector.data(), embeddings_.data() + ToInt(item) * dim_, dim_);
}

std::string FaissSource::simd() {
  const std::string options = faiss::get_compile_options();
  return std::string(absl::StripPrefix(options, "OPTIMIZE "));
}

}  // namespace groundswell
