#include "graph/upkeep/verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <variant>

#include "graph/log/entry_hash.h"
#include "graph/log/record.h"
#include "graph/mutex.h"

namespace groundswell {

void Verification::AddDifference(std::string what) {
  ++difference_count;
  if (differences.size() < kDifferencesMax) differences.push_back(std::move(what));
}

namespace {

std::vector<Cluster> ClustersOf(const MacroGraph& graph, size_t items) {
  std::vector<Cluster> clusters;
  for (uint32_t item = 0; item < items; ++item)
    clusters.push_back(graph.ClusterOf(ItemIndex{item}));
  return clusters;
}

// The matrix form, and the digest, of the users as they were at `moment`.
absl::StatusOr<std::unique_ptr<MacroGraph>> Recompute(
    const Generation& generation, const GraphStore::Moment& moment, const Catalogue& catalogue,
    const MacroShape& shape, const std::vector<Cluster>& clusters,
    std::span<const VerifiedView> views, Verification& result) {
  auto graph = std::make_unique<MacroGraph>(shape, clusters);
  absl::Status read = generation.ForEachUser(
      [&](std::string_view user_id, const UserState& user) -> absl::Status {
        if (user.cluster >= shape.user_clusters ||
            (!user.edges.empty() && ToInt(user.edges.back().item) >= clusters.size())) {
          result.AddDifference(fmt::format("user \"{}\" does not fit the snapshot", user_id));
          return absl::OkStatus();
        }
        graph->LoadUser(user);
        for (const VerifiedView& view : views) view.visit(user_id, user);
        result.digest.AddUser(user_id, user.cluster);
        for (const Edge& edge : user.edges) {
          result.digest.AddEdges(user_id, catalogue.Id(edge.item), {&edge, 1});
        }
        ++result.users;
        result.edges += user.item_count();
        return absl::OkStatus();
      },
      moment);
  if (!read.ok()) return read;
  graph->FinishLoading();
  return graph;
}

void CompareShard(const ItemShard& actual, const ItemShard& expected, const Catalogue& catalogue,
                  size_t width, Verification& result) {
  const auto first = static_cast<uint32_t>(actual.number * kItemsPerShard);
  for (size_t at = 0; at < expected.counts.size(); ++at) {
    if (at < actual.counts.size() && actual.counts[at] == expected.counts[at]) continue;
    const ItemIndex item{first + static_cast<uint32_t>(at / width)};
    result.AddDifference(fmt::format(
        "item \"{}\": counter {} is {}, the adjacency says {}", catalogue.Id(item), at % width,
        at < actual.counts.size() ? actual.counts[at] : 0, expected.counts[at]));
  }
  result.counters += expected.counts.size();
  if (actual.edges != expected.edges) {
    result.AddDifference(fmt::format("the newest users of the items {} to {} differ", first,
                                     first + kItemsPerShard - 1));
  }
}

// The items that the log created; the snapshot's own are not part of the digest.
absl::Status AddCreatedItems(const Generation& generation, Verification& result) {
  const auto items = generation.ReadItems();
  if (!items.ok()) return items.status();
  for (const StoredItem& item : *items) {
    if (item.created && !item.removed) result.digest.AddItem(item.id, item.cluster);
  }
  return absl::OkStatus();
}

void CompareTotals(const Applier::Progress& said, Verification& result) {
  if (result.digest != said.digest) {
    result.AddDifference(fmt::format("the digest of the adjacency is {}, the graph's own {}",
                                     result.digest.ToString(), said.digest.ToString()));
  }
  if (static_cast<int64_t>(result.users) != said.live_user_count) {
    result.AddDifference(
        fmt::format("{} users are stored, {} were counted", result.users, said.live_user_count));
  }
  if (static_cast<int64_t>(result.edges) != said.edge_count) {
    result.AddDifference(
        fmt::format("{} edges are stored, {} were counted", result.edges, said.edge_count));
  }
}

}  // namespace

absl::StatusOr<Verification> VerifyLoadedGraph(const Generation& generation,
                                               const GraphState& state, const Catalogue& catalogue,
                                               const MacroGraph& graph) {
  Verification result{.applied_offset = state.applied_offset};
  result.items = graph.item_count();
  const MacroShape& shape = graph.items().shape();
  const auto recomputed =
      Recompute(generation, nullptr, catalogue, shape, ClustersOf(graph, result.items), {}, result);
  if (!recomputed.ok()) return recomputed.status();
  const size_t width = shape.user_clusters + shape.item_clusters;
  for (uint32_t shard = 0; shard * kItemsPerShard < result.items; ++shard) {
    CompareShard(graph.CopyShard(shard, result.items),
                 (*recomputed)->CopyShard(shard, result.items), catalogue, width, result);
  }
  if (absl::Status s = AddCreatedItems(generation, result); !s.ok()) return s;
  CompareTotals({.live_user_count = state.live_user_count,
                 .edge_count = state.edge_count,
                 .digest = state.digest},
                result);
  return result;
}

absl::StatusOr<Verification> VerifyGraph(const GraphStore& store, const Generation& generation,
                                         Applier& applier, const Catalogue& catalogue,
                                         const MacroGraph& graph,
                                         std::span<const VerifiedView> views) {
  struct Shards {
    Mutex mutex;
    std::map<uint32_t, ItemShard> by_number ABSL_GUARDED_BY(mutex);
  };
  auto shards = std::make_shared<Shards>();
  Verification result;
  Applier::Progress said;
  GraphStore::Moment moment;
  std::shared_ptr<ShardCapture> capture;
  absl::Status items_added;
  absl::Status begun = applier.RunAtBatchEdge([&] {
    said = applier.progress();
    result.items = graph.item_count();
    moment = store.Now();
    items_added = AddCreatedItems(generation, result);
    for (const VerifiedView& view : views) view.begin();
    capture = applier.BeginCapture([shards](ItemShard shard) {
      MutexLock lock(shards->mutex);
      const uint32_t number = shard.number;
      shards->by_number.emplace(number, std::move(shard));
    });
  });
  if (!begun.ok()) return begun;
  capture->CaptureRest([] { return true; });
  if (absl::Status s = applier.RunAtBatchEdge([] {}); !s.ok()) return s;
  if (!items_added.ok()) return items_added;
  result.applied_offset = said.applied_offset;

  const MacroShape& shape = graph.items().shape();
  const auto recomputed = Recompute(generation, moment, catalogue, shape,
                                    ClustersOf(graph, result.items), views, result);
  if (!recomputed.ok()) return recomputed.status();
  const size_t width = shape.user_clusters + shape.item_clusters;
  MutexLock lock(shards->mutex);
  for (const auto& [number, shard] : shards->by_number) {
    CompareShard(shard, (*recomputed)->CopyShard(number, result.items), catalogue, width, result);
  }
  CompareTotals(said, result);
  for (const VerifiedView& view : views) {
    if (absl::Status s = view.finish(result); !s.ok()) return s;
  }
  return result;
}

absl::StatusOr<LogVerification> VerifyLog(const GraphStore& store, Offset begin, Offset end) {
  LogVerification result{.begin = begin, .end = end};
  Offset expected = begin;
  absl::Status read = store.ForEachLogRecord(
      begin, end, [&](Offset offset, std::string_view record) -> absl::Status {
        if (offset != expected) {
          return absl::DataLossError(
              fmt::format("the log has no record at offset {}; the next is {}", expected, offset));
        }
        ++expected;
        const absl::StatusOr<LogEntry> entry = DecodeLogRecord(record);
        if (!entry.ok()) {
          return absl::DataLossError(
              fmt::format("at offset {}: {}", offset, std::string(entry.status().message())));
        }
        const bool is_redacted = std::holds_alternative<Redacted>(*entry);
        const bool is_interaction = std::holds_alternative<Interaction>(*entry);
        ++(is_redacted ? result.redacted : is_interaction ? result.interactions : result.changes);
        const std::optional<EventIdHash> event_id = EventIdHashOf(*entry);
        if (!event_id.has_value()) return absl::OkStatus();
        const auto known = store.FindEventId(*event_id);
        if (!known.ok()) return known.status();
        if (known->has_value() && (*known)->offset < offset) {
          return absl::DataLossError(
              fmt::format("the interactions at the offsets {} and {} have the same event id",
                          (*known)->offset, offset));
        }
        return absl::OkStatus();
      });
  if (!read.ok()) return read;
  if (expected != end + 1) {
    return absl::DataLossError(
        fmt::format("the log ends before offset {} although it reached {}", expected, end));
  }
  return result;
}

}  // namespace groundswell
