#include "index/vectors/embedding_index.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/vectors/faiss_index.h"
#include "index/vectors/ivf_int8_index.h"
#include "index/vectors/vector_search.h"
#include "models/embedding_range.h"

namespace groundswell {
namespace {

constexpr char kFlat[] = "Flat";
constexpr char kAutomatic[] = "auto";
// How long a search may hold on to an index that was replaced before it has to free it itself.
constexpr std::chrono::seconds kReadersLeave{1};

absl::Status CheckVector(std::span<const float> vector, size_t dim, std::string_view name) {
  if (vector.size() != dim) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(name), ": ", vector.size(), " numbers; must be ", dim));
  }
  if (!IsEmbedding(vector)) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(name), ": every number must be between -", kEmbeddingNumberMax,
                     " and ", kEmbeddingNumberMax));
  }
  return absl::OkStatus();
}

// The newest of each item among the first n, in the order in which they came.
std::vector<ItemVectors::Change> NewestChanges(const VectorChanges& changes, size_t n) {
  std::vector<ItemVectors::Change> newest;
  for (size_t i = 0; i < n; ++i) {
    const VectorChanges::Change& change = changes.At(i);
    if (changes.NewestOf(change.item, n) != i) continue;
    newest.emplace_back(change.item, change.withdrawn ? std::span<const float>() : changes.Row(i));
  }
  return newest;
}

// Who frees an index that was replaced: its last reader, or whoever waits for that one to leave.
class LastReader {
 public:
  // By the last reader. REQUIRES: at most once.
  void Leave(std::unique_ptr<const ApproximateIndex> index) {
    {
      const MutexLock lock(mutex_);
      if (!is_awaited_) return;  // frees it, once the lock is released
      left_ = std::move(index);
    }
    changed_.NotifyAll();
  }

  // Gives `index` up, which is Leave's, and frees it here if the last reader leaves until then.
  void FreeBehind(std::shared_ptr<const ApproximateIndex> index,
                  std::chrono::steady_clock::time_point until) {
    {
      const MutexLock lock(mutex_);
      is_awaited_ = true;
    }
    index.reset();
    std::unique_ptr<const ApproximateIndex> left;  // freed without the lock
    const MutexLock lock(mutex_);
    while (left_ == nullptr && std::chrono::steady_clock::now() < until) {
      changed_.WaitUntil(mutex_, until);
    }
    is_awaited_ = false;
    left = std::move(left_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool is_awaited_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<const ApproximateIndex> left_ ABSL_GUARDED_BY(mutex_);
};

// The deleter of every shared index.
struct LeaveIndex {
  std::shared_ptr<LastReader> reader = std::make_shared<LastReader>();
  void operator()(const ApproximateIndex* index) const {
    reader->Leave(std::unique_ptr<const ApproximateIndex>(index));
  }
};

template <typename Index>
absl::StatusOr<std::shared_ptr<const ApproximateIndex>> Shared(
    absl::StatusOr<std::unique_ptr<Index>> index) {
  if (!index.ok()) return index.status();
  return std::shared_ptr<const ApproximateIndex>(index->release(), LeaveIndex());
}

}  // namespace

absl::Status CheckFactory(const std::string& factory, size_t dim) {
  const auto lists = IvfInt8Index::ListsOf(factory);
  if (!lists.ok() || lists->has_value()) return lists.status();
  return FaissIndex::Check(factory, dim);
}

IndexKind DefaultIndexKind(size_t items) {
  const auto root = static_cast<size_t>(std::sqrt(32 * static_cast<double>(items)));
  const size_t lists = std::clamp<size_t>(std::bit_floor(root), 16, 65'536);
  const auto nprobe = static_cast<size_t>(3.5 * std::sqrt(static_cast<double>(lists)));
  return {.factory = absl::StrCat("IVF", lists, ",Int8"), .nprobe = nprobe};
}

absl::StatusOr<std::unique_ptr<EmbeddingIndex>> EmbeddingIndex::Build(
    std::span<const float> trained, size_t dim, const Options& options, size_t threads,
    const Progress& progress) {
  if (absl::Status s = FaissIndex::CheckProcessor(); !s.ok()) return s;
  absl::StatusOr<ItemVectors> rows = ItemVectors::Create(trained, dim);
  if (!rows.ok()) return rows.status();
  // Also where this catalogue is too small for it: it may grow.
  if (options.factory != kAutomatic) {
    if (absl::Status s = CheckFactory(options.factory, dim); !s.ok()) return s;
  }
  std::unique_ptr<EmbeddingIndex> index(new EmbeddingIndex(dim, options));
  auto vectors = std::make_shared<const ItemVectors>(*std::move(rows));
  index->items_max_ = std::max(vectors->size(), options.items_max);
  auto built = index->BuildIndex(*vectors, threads, progress);
  if (!built.ok()) return built.status();
  index->trained_ = std::make_shared<const Epoch>(Epoch{
      .vectors = vectors, .index = *built, .changes = std::make_shared<VectorChanges>(0, 0, dim)});
  index->Publish({.vectors = std::move(vectors),
                  .index = *std::move(built),
                  .changes = std::make_shared<VectorChanges>(2 * options.changes_max,
                                                             index->items_max_, dim)});
  return index;
}

absl::StatusOr<std::shared_ptr<const ApproximateIndex>> EmbeddingIndex::BuildIndex(
    const ItemVectors& vectors, size_t threads, const Progress& progress) const {
  if (vectors.size() <= options_.flat_max_items || options_.factory == kFlat) {
    if (progress && !progress(vectors.size(), vectors.size())) {
      return absl::CancelledError("the building of the index was cancelled");
    }
    return std::shared_ptr<const ApproximateIndex>();
  }
  const IndexKind rule = DefaultIndexKind(vectors.size());
  const std::string& factory = options_.factory == kAutomatic ? rule.factory : options_.factory;
  const size_t nprobe = options_.nprobe > 0 ? options_.nprobe : rule.nprobe;
  const auto lists = IvfInt8Index::ListsOf(factory);
  if (!lists.ok()) return lists.status();
  if (lists->has_value()) {
    return Shared(IvfInt8Index::Build(
        vectors, {.lists = **lists, .nprobe = nprobe, .threads = threads}, progress));
  }
  return Shared(FaissIndex::Build(
      vectors,
      {.factory = factory, .nprobe = nprobe, .ef_search = options_.ef_search, .threads = threads},
      progress));
}

absl::StatusOr<std::vector<Candidate>> EmbeddingIndex::Retrieve(const CandidateQuery& query) const {
  return Retrieve(query, Now());
}

absl::StatusOr<std::vector<Candidate>> EmbeddingIndex::Retrieve(const CandidateQuery& query,
                                                                const View& view) const {
  if (absl::Status s = CheckVector(query.vector, dim_, "query vector"); !s.ok()) return s;
  if (query.count == 0) return std::vector<Candidate>();
  SearchOnOneThread();
  const Epoch& searched = *view.epoch_;
  return SearchVectors({.vectors = *searched.vectors,
                        .index = searched.index.get(),
                        .changes = *searched.changes,
                        .n = view.n_,
                        .rescore_factor = options_.rescore_factor},
                       query);
}

absl::Status EmbeddingIndex::Upsert(ItemIndex item, std::span<const float> vector) {
  if (absl::Status s = CheckVector(vector, dim_, "item vector"); !s.ok()) return s;
  return Append(item, vector);
}

absl::Status EmbeddingIndex::Remove(ItemIndex item) { return Append(item, {}); }

absl::Status EmbeddingIndex::Append(ItemIndex item, std::span<const float> vector) {
  if (ToInt(item) >= items_max_) {
    return absl::OutOfRangeError(absl::StrCat("item ", ToInt(item), ": the index has room for ",
                                              items_max_, "; raise graph.new_items_max"));
  }
  const MutexLock lock(writer_mutex_);
  const std::shared_ptr<const Epoch> now = epoch();
  if (now->changes->Append(item, vector, sequence_)) {
    ++sequence_;
    return absl::OkStatus();
  }
  // What was changed again since takes no room in the next list.
  Epoch next = *now;
  next.changes = ChangesSince(*now->changes, 0);
  next.changes->Append(item, vector, sequence_++);
  Publish(std::move(next));
  return absl::OkStatus();
}

std::shared_ptr<VectorChanges> EmbeddingIndex::ChangesSince(const VectorChanges& changes,
                                                            uint64_t sequence) const {
  const size_t room = 2 * std::max(options_.changes_max, changes.changed_items());
  auto since = std::make_shared<VectorChanges>(room, items_max_, dim_);
  const size_t n = changes.size();
  for (size_t i = 0; i < n; ++i) {
    const VectorChanges::Change& change = changes.At(i);
    if (change.sequence < sequence || changes.NewestOf(change.item, n) != i) continue;
    since->Append(change.item, change.withdrawn ? std::span<const float>() : changes.Row(i),
                  change.sequence);
  }
  return since;
}

absl::Status EmbeddingIndex::Rebuild(size_t threads, const Progress& progress) {
  const MutexLock rebuild_lock(rebuild_mutex_);
  std::shared_ptr<const Epoch> before;
  size_t n = 0;
  uint64_t sequence = 0;
  {
    const MutexLock lock(writer_mutex_);
    before = epoch();
    n = before->changes->size();
    sequence = sequence_;
  }
  auto vectors = std::make_shared<const ItemVectors>(
      before->vectors->With(NewestChanges(*before->changes, n)));
  auto built = BuildIndex(*vectors, threads, progress);
  if (!built.ok()) return built.status();

  std::shared_ptr<const ApproximateIndex> retired = before->index;
  before.reset();
  {
    const MutexLock lock(writer_mutex_);
    Publish({.vectors = std::move(vectors),
             .index = *std::move(built),
             .changes = ChangesSince(*epoch()->changes, sequence)});
  }
  if (retired == nullptr || retired == trained_->index) return absl::OkStatus();  // which is kept
  // Freeing takes a while: better here than in the request that happens to be its last reader.
  const std::shared_ptr<LastReader> reader = std::get_deleter<LeaveIndex>(retired)->reader;
  reader->FreeBehind(std::move(retired), std::chrono::steady_clock::now() + kReadersLeave);
  return absl::OkStatus();
}

bool EmbeddingIndex::WantsRebuild() const {
  return epoch()->changes->changed_items() >= options_.changes_max;
}

EmbeddingIndex::Status EmbeddingIndex::status() const {
  const std::shared_ptr<const Epoch> now = epoch();
  return {.kind = now->index == nullptr ? kFlat : now->index->kind(),
          .items = now->vectors->size(),
          .changed_items = now->changes->changed_items(),
          .bytes = now->vectors->bytes() + now->changes->bytes() +
                   (now->index == nullptr ? 0 : now->index->bytes())};
}

std::shared_ptr<const EmbeddingIndex::Epoch> EmbeddingIndex::epoch() const {
  const MutexLock lock(mutex_);
  return epoch_;
}

void EmbeddingIndex::Publish(Epoch epoch) {
  auto next = std::make_shared<const Epoch>(std::move(epoch));
  {
    const MutexLock lock(mutex_);
    epoch_.swap(next);
  }  // the former epoch is freed here, or by its last reader
}

EmbeddingIndex::View EmbeddingIndex::Now() const { return View(epoch()); }

EmbeddingIndex::View EmbeddingIndex::Trained() const { return View(trained_); }

std::span<const float> EmbeddingIndex::View::VectorOf(ItemIndex item) const {
  const VectorChanges& changes = *epoch_->changes;
  if (!changes.LeavesAsItWas(item, n_)) {
    const size_t number = *changes.NewestOf(item, n_);
    return changes.At(number).withdrawn ? std::span<const float>() : changes.Row(number);
  }
  return epoch_->vectors->Of(item);
}

}  // namespace groundswell
