#include "index/vectors/vector_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "index/score_key.h"
#include "index/vectors/faiss_index.h"

namespace groundswell {
namespace {

// Rows scored between two looks at the filter.
constexpr size_t kBlock = 256;
// Scores compared at once.
constexpr size_t kGroup = 16;
// Items asked to learn what share of them a filter admits.
constexpr size_t kSample = 256;
// From these parts of the index on, a scan costs less: lists that would be visited, and candidates
// that would be fetched (of kinds without lists, which pay more for each).
constexpr double kScanFromListShare = .2;
constexpr double kScanFromListShareBestFirst =
    .6;  // of lists that are read at a fourth of the bytes
constexpr double kScanFromFetchShare = 1.0 / 256;
// A scan that asks the filter first costs less when fewer than these are admitted.
constexpr double kFilterFirstBelowShare = .16;
// More is fetched by this factor than should be left of it by the sample.
constexpr double kFetchReserve = 1.25;

bool Better(const Candidate& a, const Candidate& b) {
  return a.score != b.score ? a.score > b.score : a.item < b.item;
}

// Keeps the `count` best, the worst of them last.
void KeepBest(std::vector<Candidate>& found, size_t count) {
  if (found.size() <= count) return;
  std::ranges::nth_element(found, found.begin() + static_cast<ptrdiff_t>(count) - 1, Better);
  found.resize(count);
}

void KeepBestSorted(std::vector<Candidate>& found, size_t count) {
  KeepBest(found, count);
  if (!std::ranges::is_sorted(found, Better)) std::ranges::sort(found, Better);
}

// The best candidates so far, and up to as many that may be. Looked through when it is full: that
// costs less per candidate than a heap. One of a thread at a time.
class BestItems {
 public:
  explicit BestItems(size_t count) : count_(count), best_(KeysOfThread()) { best_.clear(); }

  // Also says no to not-a-number, into which a product of huge numbers can overflow and which no
  // order can hold.
  bool WouldTake(float score) const { return score >= worst_; }
  // Without a branch per score: nearly all of a scan are too low.
  bool WouldTakeAny(std::span<const float> scores) const {
    int taken = 0;
    for (const float score : scores) taken |= score >= worst_ ? 1 : 0;
    return taken != 0;
  }
  void Take(ItemIndex item, float score) {
    best_.push_back(ScoreKey(score, item));
    if (best_.size() < count_ + std::max(count_, kBlock)) return;
    KeepBestKeys();
    worst_ = ScoreOfKey(best_.back());
  }
  // Best first.
  std::vector<Candidate> Sorted() {
    KeepBestKeys();
    std::ranges::sort(best_);
    std::vector<Candidate> items;
    items.reserve(best_.size());
    for (const uint64_t key : best_) {
      items.push_back({ItemOfKey(key), ScoreOfKey(key), kFromEmbedding});
    }
    return items;
  }

 private:
  static std::vector<uint64_t>& KeysOfThread() {
    thread_local std::vector<uint64_t> keys;
    return keys;
  }
  // The `count` best, the worst of them last.
  void KeepBestKeys() {
    if (best_.size() <= count_) return;
    std::ranges::nth_element(best_, best_.begin() + static_cast<ptrdiff_t>(count_) - 1);
    best_.resize(count_);
  }

  const size_t count_;
  float worst_ = -std::numeric_limits<float>::infinity();  // as long as anything will do
  std::vector<uint64_t>& best_;                            // ScoreKey
};

// The share of the items that are admitted, from a sample that no pattern of the numbers deceives:
// multiples of the golden ratio spread evenly.
double ShareAdmitted(const ItemVectors& vectors, const AdmittedItems& admitted) {
  constexpr double kGoldenRatio = .6180339887498949;
  size_t count = 0;
  for (size_t i = 0; i < kSample; ++i) {
    const double at = static_cast<double>(i) * kGoldenRatio;
    const auto position =
        static_cast<size_t>((at - std::floor(at)) * static_cast<double>(vectors.size()));
    count += admitted(vectors.items()[position]) ? 1 : 0;
  }
  return static_cast<double>(count) / kSample;
}

AdmittedItems AdmittedOf(const SearchedVectors& searched, const CandidateQuery& query) {
  return {.filter = query.filter, .changes = searched.changes, .n = searched.n};
}

// Rows of items that follow each other in memory from position `begin` on, at most kBlock.
size_t RunLength(const ItemVectors& vectors, size_t begin) {
  const size_t most = std::min(kBlock, vectors.size() - begin);
  if (vectors.is_trained_matrix()) return most;
  const float* const first = vectors.Of(vectors.items()[begin]).data();
  size_t run = 1;
  while (run < most &&
         vectors.Of(vectors.items()[begin + run]).data() == first + run * vectors.dim()) {
    ++run;
  }
  return run;
}

// Scores come first and the filter is asked about those that could be among the best: it is the
// dearer of the two unless it leaves out most.
void ScanScoresFirst(const ItemVectors& vectors, std::span<const float> query,
                     const AdmittedItems& admitted, BestItems& best) {
  std::array<float, kBlock> scores;
  for (size_t begin = 0; begin < vectors.size();) {
    const size_t run = RunLength(vectors, begin);
    InnerProducts(query, vectors.Of(vectors.items()[begin]).data(), std::span(scores).first(run));
    for (size_t group = 0; group < run; group += kGroup) {
      const auto some = std::span(scores).subspan(group, std::min(kGroup, run - group));
      if (!best.WouldTakeAny(some)) continue;
      for (size_t i = 0; i < some.size(); ++i) {
        if (!best.WouldTake(some[i])) continue;
        const ItemIndex item = vectors.items()[begin + group + i];
        if (admitted(item)) best.Take(item, some[i]);
      }
    }
    begin += run;
  }
}

// The filter comes first, and scores are computed of what it leaves.
void ScanAdmitted(const ItemVectors& vectors, std::span<const float> query,
                  const AdmittedItems& admitted, BestItems& best) {
  std::array<ItemIndex, kBlock> items;
  std::array<float, kBlock> scores;
  size_t count = 0;
  const auto score_block = [&] {
    InnerProducts(query, vectors, std::span(items).first(count), scores);
    for (size_t i = 0; i < count; ++i) {
      if (best.WouldTake(scores[i])) best.Take(items[i], scores[i]);
    }
    count = 0;
  };
  for (const ItemIndex item : vectors.items()) {
    if (!admitted(item)) continue;
    items[count++] = item;
    if (count == kBlock) score_block();
  }
  score_block();
}

std::vector<Candidate> Scan(const SearchedVectors& searched, const CandidateQuery& query) {
  const ItemVectors& vectors = searched.vectors;
  const AdmittedItems admitted = AdmittedOf(searched, query);
  BestItems best(query.count);
  const bool may_leave_out_most = !query.filter.RejectsAtMost().has_value();
  if (may_leave_out_most && ShareAdmitted(vectors, admitted) < kFilterFirstBelowShare) {
    ScanAdmitted(vectors, query.vector, admitted, best);
  } else {
    ScanScoresFirst(vectors, query.vector, admitted, best);
  }
  return best.Sorted();
}

// What the index finds of the admitted items.
absl::Status AskIndex(const SearchedVectors& searched, const CandidateQuery& query,
                      const SearchPlan& plan, std::vector<Candidate>& found) {
  const AdmittedItems admitted = AdmittedOf(searched, query);
  thread_local std::vector<ApproximateIndex::Hit> hits;
  if (absl::Status s = searched.index->Search(
          query.vector, plan.fetch, plan.filter_inside ? &admitted : nullptr, plan.widening, hits);
      !s.ok()) {
    return s;
  }
  found.clear();
  found.reserve(hits.size());
  for (const auto& [item, score] : hits) {
    if (!plan.filter_inside && !admitted(item)) continue;
    found.push_back({item, score, kFromEmbedding});
  }
  std::erase_if(found, [](const Candidate& candidate) { return std::isnan(candidate.score); });
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Candidate>> SearchIndex(const SearchedVectors& searched,
                                                   const CandidateQuery& query) {
  SearchPlan plan = PlanSearch(searched, query);
  if (plan.scan) return Scan(searched, query);
  const size_t wanted = std::min(query.count, searched.vectors.size());
  std::vector<Candidate> found;
  if (absl::Status s = AskIndex(searched, query, plan, found); !s.ok()) return s;
  if (found.size() >= wanted) return found;
  // The filter leaves out more of this query's neighbours than of the items at large.
  if (searched.index->filters() == ApproximateIndex::Filters::kEveryRow && !plan.filter_inside) {
    plan.filter_inside = true;
    if (absl::Status s = AskIndex(searched, query, plan, found); !s.ok()) return s;
    if (found.size() >= wanted) return found;
  }
  return Scan(searched, query);
}

// Adds the changed vectors that are among the `count` best. `found` is sorted.
void AddChanges(const SearchedVectors& searched, const CandidateQuery& query,
                std::vector<Candidate>& found) {
  const VectorChanges& changes = searched.changes;
  const bool is_full = found.size() >= query.count;
  const float worst = is_full ? found.back().score : -std::numeric_limits<float>::infinity();
  std::array<float, kBlock> scores;
  for (size_t begin = 0; begin < searched.n; begin += kBlock) {
    const size_t count = std::min(kBlock, searched.n - begin);
    InnerProducts(query.vector, changes.Row(begin).data(), std::span(scores).first(count));
    for (size_t i = 0; i < count; ++i) {
      if (!(scores[i] >= worst)) continue;  // also of what is not a number
      const VectorChanges::Change& change = changes.At(begin + i);
      if (change.withdrawn || changes.NewestOf(change.item, searched.n) != begin + i) continue;
      if (!query.filter.Admits(change.item)) continue;
      found.push_back({change.item, scores[i], kFromEmbedding});
    }
  }
  KeepBestSorted(found, query.count);
}

// Of kinds that ask the filter themselves, about the best alone.
SearchPlan PlanBestFirst(const SearchedVectors& searched, const CandidateQuery& query,
                         size_t wanted) {
  const std::optional<size_t> rejects = query.filter.RejectsAtMost();
  if (rejects.has_value() && *rejects + searched.n <= wanted) {
    return {.filter_inside = *rejects + searched.n > 0, .fetch = wanted};
  }
  const double share = ShareAdmitted(searched.vectors, AdmittedOf(searched, query));
  if (share == 0 || searched.index->share_visited() / share > kScanFromListShareBestFirst) {
    return {.scan = true};
  }
  return {.filter_inside = true, .fetch = wanted, .widening = 1 / share};
}

}  // namespace

SearchPlan PlanSearch(const SearchedVectors& searched, const CandidateQuery& query) {
  if (searched.index == nullptr) return {.scan = true};
  const ApproximateIndex& index = *searched.index;
  const auto items = static_cast<double>(index.size());
  const size_t wanted = std::min(query.count, index.size());
  const size_t fetch = index.compresses() ? wanted * searched.rescore_factor : wanted;

  if (index.filters() == ApproximateIndex::Filters::kBestFirst) {
    return PlanBestFirst(searched, query, wanted);
  }
  const std::optional<size_t> rejects = query.filter.RejectsAtMost();
  if (rejects.has_value() && *rejects + searched.n <= wanted) {
    return {.fetch = fetch + *rejects + searched.n};
  }
  const double share = ShareAdmitted(searched.vectors, AdmittedOf(searched, query));
  if (share == 0) return {.scan = true};
  const double widened = static_cast<double>(fetch) / share * kFetchReserve;
  const bool scan =
      index.share_visited() > 0
          ? index.share_visited() / share > kScanFromListShare
          : widened > std::max(items * kScanFromFetchShare, 2.0 * static_cast<double>(fetch));
  return {.scan = scan, .fetch = static_cast<size_t>(widened), .widening = 1 / share};
}

absl::StatusOr<std::vector<Candidate>> SearchVectors(const SearchedVectors& searched,
                                                     const CandidateQuery& query) {
  absl::StatusOr<std::vector<Candidate>> found = SearchIndex(searched, query);
  if (!found.ok()) return found;
  KeepBestSorted(*found, query.count);
  if (searched.n > 0) AddChanges(searched, query, *found);
  return found;
}

}  // namespace groundswell
