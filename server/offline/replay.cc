#include "server/offline/replay.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/fold/applier.h"
#include "graph/fold/interaction_adjacency.h"
#include "graph/fold/judgement.h"
#include "graph/state/macro_graph.h"
#include "index/popular/trending_items.h"
#include "index/vectors/embedding_index.h"
#include "index/vectors/live_vectors.h"
#include "models/files/manifest.h"
#include "models/snapshot/snapshot.h"
#include "program/standard_error.h"
#include "program/symbolic_links.h"
#include "server/offline/feature_file.h"
#include "server/offline/feature_rows.h"
#include "server/offline/past_log.h"
#include "server/pipeline/features.h"
#include "server/serving/clustering.h"
#include "server/serving/load_state.h"

namespace groundswell {
namespace {

constexpr size_t kEventsPerProgress = 10'000;

int64_t MicrosOf(const PastLog::Event& event) { return event.time_s * kMicrosPerSecond; }

absl::Status WriteGraph(const std::string& path, std::span<const UserState> users) {
  size_t edges = 0;
  for (const UserState& user : users) edges += user.edges.size();
  auto file = FeatureFile::Create(path, {{"user_begin", true, {users.size() + 1}},
                                         {"last_time_us", true, {edges}},
                                         {"item", false, {edges}},
                                         {"count", false, {edges}},
                                         {"last_offset", false, {edges}}});
  if (!file.ok()) return file.status();
  FeatureFile& out = **file;
  size_t at = 0;
  for (size_t user = 0; user < users.size(); ++user) {
    out.Int64("user_begin")[user] = static_cast<int64_t>(at);
    for (const Edge& edge : users[user].edges) {
      if (edge.last.offset > std::numeric_limits<int32_t>::max()) {
        return absl::OutOfRangeError("more than 2^31 - 1 events do not fit graph.safetensors");
      }
      out.Int32("item")[at] = static_cast<int32_t>(ToInt(edge.item));
      out.Int32("count")[at] = static_cast<int32_t>(edge.count);
      out.Int64("last_time_us")[at] = edge.last.time_us;
      out.Int32("last_offset")[at] = static_cast<int32_t>(edge.last.offset);
      ++at;
    }
  }
  out.Int64("user_begin")[users.size()] = static_cast<int64_t>(at);
  return out.Finish();
}

void ShowProgress(size_t done, size_t total, std::chrono::steady_clock::time_point start) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  PrintToStandardError("{}replay: {} of {} events, {:.0f} events/s{}", terminal ? "\r" : "", done,
                       total, static_cast<double>(done) / std::max(elapsed.count(), 1e-9),
                       terminal && done < total ? "" : "\n");
}

// The graph as it is while the events pass, with the rules by which the server folds them.
class PassingGraph {
 public:
  PassingGraph(const std::shared_ptr<const Snapshot>& snapshot, const PastLog& log,
               const ReplayOptions& options)
      : clustering_(ClusteringOf(snapshot)),
        window_{.traced = options.traced_interactions},
        graph_({.user_clusters = snapshot->manifest().user_clusters,
                .item_clusters = snapshot->manifest().item_clusters,
                .recent_len = options.recent_len},
               snapshot->item_clusters(), log.item_count - snapshot->item_clusters().size()) {
    const bool has_candidates = options.negatives.candidates > 0;
    if (options.negatives.retrieval > 0 || has_candidates) {
      adjacency_.emplace(LoadOptions().neighbors_max, window_.trace_length());
    }
    if (has_candidates) {
      trending_.emplace(LoadOptions().trending_half_life_s, snapshot->manifest().user_clusters);
    }
    for (const Cluster cluster : snapshot->user_clusters()) AddUser(cluster);
  }

  const MacroGraph& graph() const { return graph_; }
  const InteractionAdjacency* adjacency() const {
    return adjacency_.has_value() ? &*adjacency_ : nullptr;
  }

  // There is one with negatives of candidates.
  TrendingItems* trending() { return trending_.has_value() ? &*trending_ : nullptr; }
  bool IsKnown(UserIndex user) const { return has_joined_[ToInt(user)]; }

  // Makes the event's user and item known. Both come in the order of their indices. A new user has
  // the cluster of this event until one is applied, which then keeps its own.
  UserState& Meet(const PastLog::Event& event) {
    while (graph_.item_count() <= ToInt(event.item)) graph_.AddItem(clustering_.of_new_item({}));
    if (users_.size() <= ToInt(event.user)) AddUser(Cluster{});
    UserState& user = users_[ToInt(event.user)];
    if (!has_joined_[ToInt(event.user)]) user.cluster = clustering_.of_new_user(event.item);
    return user;
  }

  // What folding the event, which was met, would come to.
  FoldOutcome Judge(const PastLog::Event& event) const {
    const Interaction interaction{.weight = event.weight, .event_time_us = MicrosOf(event)};
    return groundswell::Judge(interaction,
                              {.item = event.item, .total_count = graph_.total_count()},
                              &users_[ToInt(event.user)])
        .outcome;
  }

  // REQUIRES: it is judged to be applied.
  void Apply(const PastLog::Event& event, Offset offset) {
    has_joined_[ToInt(event.user)] = true;
    UserState& user = users_[ToInt(event.user)];
    if (adjacency_.has_value()) {
      const std::span<const Edge> before = user.EdgesTo(event.item);
      edges_before_.assign(before.begin(), before.end());
    }
    graph_.Apply(user, event.item, event.weight, {.time_us = MicrosOf(event), .offset = offset},
                 DetailOf(window_));
    while (const auto at = EdgeBehindTrace(user, window_)) MergeIntoOlder(user, *at);
    if (!adjacency_.has_value()) return;
    const EdgeChange change{.user = user.index,
                            .item = event.item,
                            .cluster_before = user.cluster,
                            .cluster_after = user.cluster,
                            .before = edges_before_,
                            .after = user.EdgesTo(event.item),
                            .of_user = user.edges};
    adjacency_->Change(change);
    // Nothing asks by category.
    if (trending_.has_value()) trending_->Change(change, 0);
  }

  std::span<const UserState> UsersOfSnapshot() const {
    return std::span(users_).first(clustering_.trained_users);
  }
  size_t NewUserCount() const { return users_.size() - clustering_.trained_users; }

 private:
  void AddUser(Cluster cluster) {
    has_joined_.push_back(users_.size() < clustering_.trained_users);
    users_.push_back({.index = UserIndex{static_cast<uint32_t>(users_.size())},
                      .cluster = cluster,
                      .edges = {}});
  }

  const Applier::Clustering clustering_;
  const Window window_;
  MacroGraph graph_;
  std::optional<InteractionAdjacency> adjacency_;
  std::optional<TrendingItems> trending_;
  std::vector<UserState> users_;
  std::vector<bool> has_joined_;  // by user: came with the snapshot, or an event was applied
  std::vector<Edge> edges_before_;
};

// Which events make rows.
std::vector<bool> ChooseEvents(const PastLog& log, const ReplayOptions& options) {
  std::mt19937_64 random(options.seed);
  std::vector<bool> chosen;
  for (const PastLog::Event& event : log.events) {
    const bool in_range = event.weight > 0 && event.time_s >= options.rows_from_s &&
                          event.time_s < options.rows_until_s;
    // 53 random bits as a fraction; drawn for every event, so that ranges do not shift the choice.
    const double draw = static_cast<double>(random() >> 11) * 0x1.0p-53;
    chosen.push_back(in_range && draw < options.sample_rate);
  }
  return chosen;
}

// Writes the rows of one event after the other.
class RowMaker {
 public:
  RowMaker(const PassingGraph& passing, const RankerShape& shape, NegativeSampler sampler,
           FeatureRows rows)
      : passing_(passing), shape_(shape), sampler_(std::move(sampler)), rows_(std::move(rows)) {}

  absl::Status Make(const PastLog& log, size_t at, const UserState& user) {
    const PastLog::Event& event = log.events[at];
    drawn_.assign(1, {.item = event.item, .source = RowSource::kPositive});
    sampler_.Draw({.past = std::span(log.events).first(at),
                   .now_and_later = std::span(log.events).subspan(at),
                   .user = user,
                   .is_known = passing_.IsKnown(event.user),
                   .positive = event.item,
                   .time_s = event.time_s,
                   .item_count = passing_.graph().item_count()},
                  drawn_);
    items_.clear();
    for (const DrawnItem& drawn : drawn_) items_.push_back(drawn.item);
    const MacroGraph& graph = passing_.graph();
    const int64_t now_us = MicrosOf(event);
    return rows_.Write(static_cast<int64_t>(at + 1),
                       GatherUserFeatures(graph, shape_, user, now_us, buffers_), drawn_,
                       GatherItemFeatures(graph, shape_, items_, buffers_));
  }

  absl::Status Finish() { return rows_.Finish(); }

 private:
  const PassingGraph& passing_;
  const RankerShape shape_;
  NegativeSampler sampler_;
  FeatureRows rows_;
  FeatureBuffers buffers_;
  std::vector<DrawnItem> drawn_;
  std::vector<ItemIndex> items_;
};

using Visit = std::function<absl::Status(size_t at, const UserState& user)>;

// What was not folded, as a server would not fold it.
struct NotFolded {
  size_t below_zero = 0;  // took back more than there was
  size_t overflow = 0;    // the sum of the graph is at its limit
};

void FoldInto(PassingGraph& passing, const PastLog::Event& event, Offset offset,
              NotFolded& not_folded) {
  const FoldOutcome outcome = passing.Judge(event);
  if (outcome == FoldOutcome::kApplied) {
    passing.Apply(event, offset);
  } else {
    ++(outcome == FoldOutcome::kBelowZero ? not_folded.below_zero : not_folded.overflow);
  }
}

void ShowNotFolded(const NotFolded& not_folded) {
  if (not_folded.below_zero > 0) {
    PrintToStandardError("replay: does not fold {} events that take back more than there was\n",
                         not_folded.below_zero);
  }
  if (not_folded.overflow > 0) {
    PrintToStandardError("replay: does not fold {} events beyond a sum of {}\n",
                         not_folded.overflow, kTotalCountMax);
  }
}

// Meets the events in order and shows progress. Each of `applied` is folded, just after `visit`.
absl::Status PassEvents(const PastLog& log, const std::function<bool(size_t at)>& applied,
                        PassingGraph& passing, const Visit& visit,
                        const std::function<bool()>& cancelled) {
  const auto start = std::chrono::steady_clock::now();
  NotFolded not_folded;
  for (size_t i = 0; i < log.events.size(); ++i) {
    const UserState& user = passing.Meet(log.events[i]);
    if (absl::Status s = visit(i, user); !s.ok()) return s;
    if (applied(i)) {
      FoldInto(passing, log.events[i], static_cast<Offset>(i + 1), not_folded);
    }
    if ((i + 1) % kEventsPerProgress != 0) continue;
    if (cancelled()) return absl::CancelledError("replay was interrupted; nothing was written");
    ShowProgress(i + 1, log.events.size(), start);
  }
  ShowProgress(log.events.size(), log.events.size(), start);
  ShowNotFolded(not_folded);
  return absl::OkStatus();
}

// Folds the events; the rows are made just before each, or all at one moment.
absl::Status FoldEvents(const PastLog& log, std::optional<int64_t> rows_at_s, PassingGraph& passing,
                        const Visit& make_rows, const std::function<bool()>& cancelled) {
  if (!rows_at_s.has_value()) {
    return PassEvents(
        log, [](size_t) { return true; }, passing, make_rows, cancelled);
  }
  const auto is_before = [&](size_t at) { return log.events[at].time_s < *rows_at_s; };
  const auto nothing = [](size_t, const UserState&) { return absl::OkStatus(); };
  if (absl::Status s = PassEvents(log, is_before, passing, nothing, cancelled); !s.ok()) return s;
  return PassEvents(
      log, [](size_t) { return false; }, passing, make_rows, cancelled);
}

// What negatives are looked for with, beside the passing graph.
class Searches {
 public:
  // Nothing where the graph has no adjacency. `snapshot` and `passing` must outlive it.
  absl::Status Build(const Snapshot& snapshot, const CandidateDraw& draw, PassingGraph& passing) {
    if (passing.adjacency() == nullptr) return absl::OkStatus();
    const size_t dim = snapshot.manifest().embedding_dim;
    auto built = EmbeddingIndex::Build(snapshot.item_embeddings(), dim, {}, 1, nullptr);
    if (!built.ok()) return built.status();
    index_ = *std::move(built);
    const auto encoders = ChooseEncoders(snapshot.encoders(), kFirstEncoder, kFirstEncoder);
    if (!encoders.ok()) return encoders.status();
    vectors_.emplace(
        LiveVectors::Trained{
            .users = snapshot.user_embeddings(), .items = snapshot.item_embeddings(), .dim = dim},
        *passing.adjacency(), *encoders, &passing.graph());
    search_.emplace(EmbeddingSearch{.vectors = *vectors_, .index = *index_});
    if (passing.trending() == nullptr) return absl::OkStatus();
    candidates_.emplace(PastCandidates::Sources{.adjacency = *passing.adjacency(),
                                                .trending = *passing.trending(),
                                                .embedding_index = *index_,
                                                .vectors = *vectors_},
                        draw);
    return absl::OkStatus();
  }

  const EmbeddingSearch* search() const { return search_.has_value() ? &*search_ : nullptr; }
  PastCandidates* candidates() { return candidates_.has_value() ? &*candidates_ : nullptr; }

 private:
  std::unique_ptr<EmbeddingIndex> index_;
  std::optional<LiveVectors> vectors_;
  std::optional<EmbeddingSearch> search_;
  std::optional<PastCandidates> candidates_;
};

absl::Status WriteRows(const ReplayOptions& options, const Snapshot& snapshot, const PastLog& log,
                       PassingGraph& passing, const std::function<bool()>& cancelled) {
  const Manifest& manifest = snapshot.manifest();
  const RankerShape shape{.user_rows = manifest.users + 1,
                          .item_rows = manifest.items + 1,
                          .user_clusters = manifest.user_clusters,
                          .item_clusters = manifest.item_clusters,
                          .recent_items = options.history_len,
                          .recent_times = options.history_len,
                          .recent_users = options.recent_len};
  Searches searches;
  if (absl::Status s = searches.Build(snapshot, options.candidates, passing); !s.ok()) return s;
  const std::vector<bool> chosen = ChooseEvents(log, options);
  const auto count = static_cast<size_t>(std::count(chosen.begin(), chosen.end(), true));
  const size_t items = 1 + options.negatives.total();
  auto rows = FeatureRows::Create(options.rows_out, count, items, shape);
  if (!rows.ok()) return rows.status();
  RowMaker maker(passing, shape,
                 NegativeSampler(options.negatives, searches.search(), searches.candidates(),
                                 options.seed + 1),
                 *std::move(rows));
  const auto start = std::chrono::steady_clock::now();
  const auto make_rows = [&](size_t at, const UserState& user) {
    return chosen[at] ? maker.Make(log, at, user) : absl::OkStatus();
  };
  absl::Status folded = FoldEvents(log, options.features_at_s, passing, make_rows, cancelled);
  if (!folded.ok()) return folded;
  if (absl::Status s = maker.Finish(); !s.ok()) return s;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  PrintToStandardError("replay: wrote {} rows of {} events to {}, {:.0f} rows/s\n", count * items,
                       count, options.rows_out,
                       static_cast<double>(count * items) / elapsed.count());
  return absl::OkStatus();
}

absl::Status CheckOptions(const ReplayOptions& options, const Snapshot& snapshot,
                          const PastLog& log) {
  if (!options.graph_out.empty() && log.item_count > snapshot.item_clusters().size()) {
    return absl::InvalidArgumentError(
        "--graph-out with --create-items: graph.safetensors is about the snapshot's own items; "
        "write the rows and the graph in two runs");
  }
  if (!options.graph_out.empty() && options.features_at_s.has_value()) {
    return absl::InvalidArgumentError("--graph-out with --features-at: write them in two runs");
  }
  if (options.negatives.candidates > 0 && options.features_at_s.has_value()) {
    return absl::InvalidArgumentError(
        "--candidates-negatives with --features-at: candidates are those just before each event; "
        "draw other negatives");
  }
  return absl::OkStatus();
}

// Where the links of a path lead to, written in one way.
std::filesystem::path PlaceOf(const std::string& path) {
  std::error_code error;
  const auto place =
      std::filesystem::weakly_canonical(std::filesystem::absolute(FollowLinks(path), error), error);
  return error ? std::filesystem::path(path) : place;
}

// A log must not be replaced by what is made of it, nor the one output by the other, nor by what is
// written beside it until it is whole.
absl::Status CheckFilesDiffer(const ReplayOptions& options) {
  const std::pair<std::string_view, const std::string*> files[] = {
      {"--events", &options.events_path},
      {"--graph-out", &options.graph_out},
      {"--rows-out", &options.rows_out}};
  for (size_t i = 0; i < std::size(files); ++i) {
    for (size_t j = i + 1; j < std::size(files); ++j) {
      const auto& [one, path] = files[i];
      const auto& [other, other_path] = files[j];
      if (path->empty() || other_path->empty()) continue;
      std::error_code error;
      const std::filesystem::path place = PlaceOf(*path);
      const std::filesystem::path other_place = PlaceOf(*other_path);
      const bool same = std::filesystem::equivalent(place, other_place, error) ||
                        place == other_place || place == other_place.string() + ".partial" ||
                        other_place == place.string() + ".partial";
      if (!same) continue;
      return absl::InvalidArgumentError(
          fmt::format("{} is \"{}\", which {} is too; name another file", other, *other_path, one));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Replay(const ReplayOptions& options, const std::function<bool()>& cancelled) {
  if (absl::Status s = CheckFilesDiffer(options); !s.ok()) return s;
  const absl::StatusOr<SnapshotFiles> files = ReadSnapshotDirectory(options.snapshot_directory);
  if (!files.ok()) return files.status();
  auto created = Snapshot::Create(*files);
  if (!created.ok()) return created.status();
  const std::shared_ptr<const Snapshot> snapshot = *std::move(created);
  const absl::StatusOr<PastLog> log =
      ReadPastLog(options.events_path, *files, options.weights, options.creates_items);
  if (!log.ok()) return log.status();
  if (log->left_out > 0) {
    PrintToStandardError("replay: leaves out {} events on items outside the snapshot\n",
                         log->left_out);
  }

  if (log->left_out > 0 && log->events.empty()) {
    return absl::FailedPreconditionError(
        "none of the log's items is one of the snapshot's: is --events the log that --snapshot is "
        "of? With --create-items they are new items");
  }
  if (absl::Status s = CheckOptions(options, *snapshot, *log); !s.ok()) return s;
  PassingGraph passing(snapshot, *log, options);
  const auto no_rows = [](size_t, const UserState&) { return absl::OkStatus(); };
  absl::Status folded = options.rows_out.empty()
                            ? FoldEvents(*log, std::nullopt, passing, no_rows, cancelled)
                            : WriteRows(options, *snapshot, *log, passing, cancelled);
  if (!folded.ok() || options.graph_out.empty()) return folded;
  if (absl::Status s = WriteGraph(options.graph_out, passing.UsersOfSnapshot()); !s.ok()) return s;
  PrintToStandardError("replay: wrote the graph to {}\n", options.graph_out);
  if (passing.NewUserCount() > 0) {
    PrintToStandardError("replay: leaves out of it {} users who are not in the snapshot\n",
                         passing.NewUserCount());
  }
  return absl::OkStatus();
}

}  // namespace groundswell
