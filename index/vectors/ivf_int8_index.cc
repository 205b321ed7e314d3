#include "index/vectors/ivf_int8_index.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/vectors/faiss_index.h"
#include "index/vectors/score_selection.h"

namespace groundswell {
namespace {

constexpr size_t kListsMax = 1'000'000;
// So many more are scored exactly than are asked for, and some for short answers: what is best by
// the codes is nearly what is best (docs/retrieval.md).
constexpr double kRescoreReserve = 1.05;
constexpr double kRescoreMore = 16;
constexpr size_t kPositionsPerMark = 16;
constexpr size_t kNumbersOfCacheLine = 16;

void PrefetchRow(std::span<const float> row) {
  for (size_t at = 0; at < row.size(); at += kNumbersOfCacheLine) {
    __builtin_prefetch(row.data() + at);
  }
}

}  // namespace

// A thread's own, so that searches allocate nothing after the first ones.
struct IvfInt8Index::Scratch {
  Int8Query query;
  SelectionScratch selection;
  std::vector<float> list_scores;
  std::vector<uint32_t> lists;   // to be visited, by number
  std::vector<uint32_t> begins;  // of their vectors in scores; ascending, and the end of the last
  std::vector<uint32_t> visited_at;  // which of `lists` every kPositionsPerMark-th score is of
  std::vector<float> scores;         // of all vectors visited
  std::vector<uint32_t> best;        // positions in scores
  std::vector<ItemIndex> items;
  std::vector<float> exact;  // their scores
};

absl::StatusOr<std::optional<size_t>> IvfInt8Index::ListsOf(std::string_view factory) {
  constexpr std::string_view kBegin = "IVF";
  constexpr std::string_view kEnd = ",Int8";
  if (!factory.starts_with(kBegin) || !factory.ends_with(kEnd)) return std::nullopt;
  const std::string_view digits =
      factory.substr(kBegin.size(), factory.size() - kBegin.size() - kEnd.size());
  size_t lists = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9' || lists > kListsMax) {
      lists = 0;
      break;
    }
    lists = lists * 10 + static_cast<size_t>(digit - '0');
  }
  if (lists == 0 || lists > kListsMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "retrieval.factory \"", std::string(factory), "\" must have 1 to ", kListsMax,
        " lists, as \"IVF1024,Int8\" has; \"auto\" chooses a kind by the number of items"));
  }
  return lists;
}

absl::StatusOr<std::unique_ptr<IvfInt8Index>> IvfInt8Index::Build(const ItemVectors& vectors,
                                                                  const Options& options,
                                                                  const IndexProgress& progress) {
  const absl::StatusOr<std::vector<uint32_t>> list_of_row =
      ClusterVectors(vectors, options.lists, options.threads, progress);
  if (!list_of_row.ok()) return list_of_row.status();
  return std::make_unique<IvfInt8Index>(vectors, *list_of_row, options.lists, options.nprobe);
}

IvfInt8Index::IvfInt8Index(const ItemVectors& vectors, std::span<const uint32_t> list_of_row,
                           size_t lists, size_t nprobe)
    : vectors_(vectors),
      nprobe_(nprobe),
      kind_(absl::StrCat("IVF", lists, ",Int8")),
      mean_codes_(vectors.dim()),
      codes_(vectors.dim()) {
  std::vector<uint32_t> begins(lists + 1);
  for (const uint32_t list : list_of_row) ++begins[list + 1];
  size_t blocks = 0;
  for (size_t list = 0; list < lists; ++list) {
    blocks += Int8Codes::BlocksOf(begins[list + 1]);
    begins[list + 1] += begins[list];
  }
  items_.resize(vectors.size());
  std::vector<uint32_t> ends = begins;
  for (size_t row = 0; row < vectors.size(); ++row) {
    items_[ends[list_of_row[row]]++] = vectors.items()[row];
  }
  codes_.Reserve(blocks);
  lists_.reserve(lists);
  means_.reserve(lists * vectors.dim());
  for (size_t list = 0; list < lists; ++list) {
    const uint32_t size = begins[list + 1] - begins[list];
    // Of a query that is unlike all there is, the score of a list without a mean would be the best.
    if (size == 0) continue;
    lists_.push_back({.begin = begins[list], .size = size, .block = codes_.blocks()});
    AppendList(std::span(items_).subspan(begins[list], size));
  }
  mean_codes_.Reserve(Int8Codes::BlocksOf(lists_.size()));
  mean_codes_.Append(means_, vectors.dim());
}

void IvfInt8Index::AppendList(std::span<const ItemIndex> items) {
  const size_t dim = vectors_.dim();
  std::vector<double> sums(dim);
  for (const ItemIndex item : items) {
    const std::span<const float> row = vectors_.Of(item);
    for (size_t d = 0; d < dim; ++d) sums[d] += row[d];
  }
  const double count = std::max<double>(1, static_cast<double>(items.size()));
  const size_t begin = means_.size();
  for (const double sum : sums) means_.push_back(static_cast<float>(sum / count));
  const std::span<const float> mean = std::span(means_).subspan(begin, dim);
  std::vector<float> residuals;
  residuals.reserve(items.size() * dim);
  for (const ItemIndex item : items) {
    const std::span<const float> row = vectors_.Of(item);
    for (size_t d = 0; d < dim; ++d) residuals.push_back(row[d] - mean[d]);
  }
  codes_.Append(residuals, dim);
}

double IvfInt8Index::share_visited() const {
  return std::min(1.0, static_cast<double>(nprobe_) / static_cast<double>(lists_.size()));
}

size_t IvfInt8Index::bytes() const {
  return mean_codes_.bytes() + codes_.bytes() + means_.capacity() * sizeof(float) +
         lists_.capacity() * sizeof(List) + items_.capacity() * sizeof(ItemIndex);
}

absl::Status IvfInt8Index::Search(std::span<const float> query, size_t fetch,
                                  const AdmittedItems* admitted, double widening,
                                  std::vector<Hit>& hits) const {
  thread_local Scratch scratch;
  scratch.query.Set(query);
  const double nprobe = static_cast<double>(nprobe_) * widening + .5;
  ChooseLists(static_cast<size_t>(std::min(nprobe, static_cast<double>(lists_.size()))), scratch);
  ScoreLists(query, scratch);
  ChooseItems(fetch, admitted, widening, scratch);
  ScoreItems(query, scratch);
  hits.clear();
  for (size_t i = 0; i < scratch.items.size(); ++i) {
    hits.push_back({scratch.items[i], scratch.exact[i]});
  }
  return absl::OkStatus();
}

// In the order of their numbers, so that what comes first among equals does not depend on how they
// were found.
void IvfInt8Index::ChooseLists(size_t nprobe, Scratch& scratch) const {
  scratch.list_scores.resize(mean_codes_.blocks() * Int8Codes::kBlock);
  mean_codes_.Score(scratch.query, 0, 0, mean_codes_.blocks(), scratch.list_scores.data());
  SelectBest(std::span(scratch.list_scores).first(lists_.size()), nprobe, scratch.selection,
             scratch.lists);
  std::ranges::sort(scratch.lists);
  for (const uint32_t list : scratch.lists) PrefetchRow(Mean(list));
}

void IvfInt8Index::ScoreLists(std::span<const float> query, Scratch& scratch) const {
  size_t total = 0;
  for (const uint32_t list : scratch.lists) total += lists_[list].size;
  // A list's last block writes behind its end, where the next list's scores go then.
  scratch.scores.resize(total + Int8Codes::kBlock);
  scratch.begins.clear();
  scratch.visited_at.clear();
  uint32_t begin = 0;
  for (size_t i = 0; i < scratch.lists.size(); ++i) {
    const List& list = lists_[scratch.lists[i]];
    if (i + 1 < scratch.lists.size()) codes_.Prefetch(lists_[scratch.lists[i + 1]].block);
    float of_mean = 0;
    InnerProducts(query, Mean(scratch.lists[i]).data(), {&of_mean, 1});
    scratch.begins.push_back(begin);
    codes_.Score(scratch.query, of_mean, list.block, Int8Codes::BlocksOf(list.size),
                 scratch.scores.data() + begin);
    begin += list.size;
    while (scratch.visited_at.size() * kPositionsPerMark < begin) {
      scratch.visited_at.push_back(static_cast<uint32_t>(i));
    }
  }
  scratch.begins.push_back(begin);
  scratch.scores.resize(total);
}

// The best by the codes, of those that are admitted.
void IvfInt8Index::ChooseItems(size_t fetch, const AdmittedItems* admitted, double widening,
                               Scratch& scratch) const {
  const auto visited = static_cast<double>(scratch.scores.size());
  const double reserve = std::max(static_cast<double>(fetch) * kRescoreReserve,
                                  static_cast<double>(fetch) + kRescoreMore);
  double count = std::min(visited, admitted == nullptr ? reserve : reserve * widening);
  for (;; count = std::min(visited, 2 * count)) {
    SelectBest(scratch.scores, static_cast<size_t>(count), scratch.selection, scratch.best);
    scratch.items.clear();
    for (const uint32_t position : scratch.best) {
      const ItemIndex item = ItemAt(position, scratch);
      if (admitted != nullptr && !(*admitted)(item)) continue;
      PrefetchRow(vectors_.Of(item));
      scratch.items.push_back(item);
    }
    const auto found = static_cast<double>(scratch.items.size());
    if (admitted == nullptr || found >= reserve || count >= visited) return;
  }
}

ItemIndex IvfInt8Index::ItemAt(uint32_t position, const Scratch& scratch) const {
  size_t i = scratch.visited_at[position / kPositionsPerMark];
  while (scratch.begins[i + 1] <= position) ++i;
  return items_[lists_[scratch.lists[i]].begin + (position - scratch.begins[i])];
}

// Their rows may be anywhere in memory: those of the next ones are on their way meanwhile.
void IvfInt8Index::ScoreItems(std::span<const float> query, Scratch& scratch) const {
  scratch.exact.resize(scratch.items.size());
  InnerProducts(query, vectors_, scratch.items, scratch.exact);
}

}  // namespace groundswell
