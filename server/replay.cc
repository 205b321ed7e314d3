#include "server/replay.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "graph/catalogue.h"
#include "graph/macro_graph.h"
#include "models/snapshot.h"
#include "server/event_csv.h"
#include "server/feature_file.h"
#include "server/features.h"

namespace groundswell {
namespace {

constexpr int64_t kMicrosPerSecond = 1'000'000;
constexpr size_t kEventsPerProgress = 10'000;
constexpr int kDrawAttempts = 100;

struct ReplayEvent {
  UserIndex user{};
  ItemIndex item{};
  int64_t time_s = 0;
  bool makes_rows = false;
};

// Everything that replay works on, loaded.
struct World {
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<ReplayEvent> events;
  size_t unknown_items = 0;
  RankerShape shape;
};

absl::StatusOr<World> LoadWorld(const ReplayOptions& options) {
  absl::StatusOr<SnapshotFiles> files = ReadSnapshotDirectory(options.snapshot_directory);
  if (!files.ok()) return files.status();
  auto snapshot = Snapshot::Create(*files);
  if (!snapshot.ok()) return snapshot.status();
  auto user_ids = ParseUsers(files->files.at("users.jsonl")->text());
  if (!user_ids.ok()) return user_ids.status();
  auto items = ParseItems(files->files.at("items.jsonl")->text());
  if (!items.ok()) return items.status();
  auto past = ReadEventCsv(options.events_path);
  if (!past.ok()) return past.status();

  World world{.snapshot = *std::move(snapshot)};
  const Manifest& manifest = world.snapshot->manifest();
  world.shape = {.user_rows = manifest.users + 1,
                 .item_rows = manifest.items + 1,
                 .user_clusters = manifest.user_clusters,
                 .item_clusters = manifest.item_clusters,
                 .recent_items = options.recent_len,
                 .recent_users = options.recent_len};
  Catalogue catalogue(items->size());
  for (CatalogueItem& item : *items) catalogue.Add(std::move(item.id), "", item.category);
  absl::flat_hash_map<std::string, uint32_t> users;
  for (std::string& id : *user_ids) users.emplace(std::move(id), users.size());

  std::mt19937_64 random(options.seed);
  for (PastEvent& event : *past) {
    const std::optional<ItemIndex> item = catalogue.Find(event.item_id);
    if (!item.has_value()) {  // as the server does, which refuses it
      ++world.unknown_items;
      continue;
    }
    const auto user =
        users.emplace(std::move(event.user_id), static_cast<uint32_t>(users.size())).first;
    const bool in_range =
        event.time_s >= options.rows_from_s && event.time_s < options.rows_until_s;
    // 53 random bits as a fraction; drawn for every event, so that ranges do not shift the choice.
    const double draw = static_cast<double>(random() >> 11) * 0x1.0p-53;
    world.events.push_back({.user = UserIndex{user->second},
                            .item = *item,
                            .time_s = event.time_s,
                            .makes_rows = in_range && draw < options.sample_rate});
  }
  return world;
}

// Draws items that the user has no interaction with.
class NegativeSampler {
 public:
  NegativeSampler(const std::vector<ReplayEvent>& events, size_t items, double popular_share,
                  uint64_t seed)
      : events_(events), items_(items), popular_share_(popular_share), random_(seed) {}

  // `now` is the position of the current event; popular draws look at the events before it.
  ItemIndex Draw(const UserState& user, ItemIndex positive, size_t now) {
    ItemIndex item = positive;
    for (int attempt = 0; attempt < kDrawAttempts; ++attempt) {
      const bool popular = static_cast<double>(random_() >> 11) * 0x1.0p-53 < popular_share_;
      item = popular && now > 0 ? events_[random_() % now].item
                                : ItemIndex{static_cast<uint32_t>(random_() % items_)};
      if (item != positive && !user.Has(item)) return item;
    }
    return item;  // a user who has nearly everything
  }

 private:
  const std::vector<ReplayEvent>& events_;
  const size_t items_;
  const double popular_share_;
  std::mt19937_64 random_;
};

// Writes the rows of one event after the other.
class RowWriter {
 public:
  static absl::StatusOr<std::unique_ptr<RowWriter>> Create(const std::string& path, size_t rows,
                                                           const RankerShape& shape) {
    const size_t p = shape.user_clusters;
    const size_t q = shape.item_clusters;
    const size_t l = shape.recent_items;
    auto file = FeatureFile::Create(path, {{"event", true, {rows}},
                                           {"label", false, {rows}},
                                           {"user", false, {rows}},
                                           {"item", false, {rows}},
                                           {"u1", false, {rows, q}},
                                           {"u2", false, {rows, p}},
                                           {"i1", false, {rows, p}},
                                           {"i2", false, {rows, q}},
                                           {"urec", false, {rows, l}},
                                           {"irec", false, {rows, l}}});
    if (!file.ok()) return file.status();
    auto writer = std::make_unique<RowWriter>();
    writer->file_ = *std::move(file);
    return writer;
  }

  // `items[0]` is the positive.
  absl::Status Write(int64_t event, const UserFeatures& user, const ItemFeatures& items) {
    const size_t l = items.recent_users.size() / items.rows.size();
    for (size_t i = 0; i < items.rows.size(); ++i, ++row_) {
      file_->Int64("event")[row_] = event;
      file_->Int32("label")[row_] = i == 0 ? 1 : 0;
      file_->Int32("user")[row_] = static_cast<int32_t>(user.row);
      file_->Int32("item")[row_] = static_cast<int32_t>(items.rows[i]);
      const size_t p = user.two_hop.size();
      const size_t q = user.one_hop.size();
      absl::Status status = Copy("u1", user.one_hop);
      status.Update(Copy("u2", user.two_hop));
      status.Update(Copy("i1", items.one_hop.subspan(i * p, p)));
      status.Update(Copy("i2", items.two_hop.subspan(i * q, q)));
      if (!status.ok()) return status;
      const auto recent_items = file_->Int32("urec").subspan(row_ * l, l);
      std::copy(user.recent_items.begin(), user.recent_items.end(), recent_items.begin());
      const auto recent_users = items.recent_users.subspan(i * l, l);
      std::copy(recent_users.begin(), recent_users.end(),
                file_->Int32("irec").subspan(row_ * l, l).begin());
    }
    return absl::OkStatus();
  }

  absl::Status Finish() { return file_->Finish(); }

 private:
  absl::Status Copy(std::string_view column, std::span<const Count> counts) {
    const auto out = file_->Int32(column).subspan(row_ * counts.size(), counts.size());
    for (size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] > std::numeric_limits<int32_t>::max()) {
        return absl::OutOfRangeError(
            fmt::format("row {}: {} holds a count of {}, beyond int32", row_, column, counts[i]));
      }
      out[i] = static_cast<int32_t>(counts[i]);
    }
    return absl::OkStatus();
  }

  std::unique_ptr<FeatureFile> file_;
  size_t row_ = 0;
};

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
  fmt::print(stderr, "{}replay: {} of {} events, {:.0f} events/s{}", terminal ? "\r" : "", done,
             total, static_cast<double>(done) / std::max(elapsed.count(), 1e-9),
             terminal && done < total ? "" : "\n");
}

// The state of every user while the events pass.
class UserStates {
 public:
  explicit UserStates(const Snapshot& snapshot) : snapshot_(snapshot) {
    for (const MacroNode cluster : snapshot.user_clusters()) {
      users_.push_back({.index = UserIndex{static_cast<uint32_t>(users_.size())},
                        .cluster = cluster,
                        .edges = {}});
    }
  }

  UserState& Get(UserIndex user, ItemIndex first_item) {
    while (users_.size() <= ToInt(user)) {  // users arrive in the order of their indices
      users_.push_back(
          {.index = UserIndex{static_cast<uint32_t>(users_.size())},
           .cluster = snapshot_.NearestUserCluster(snapshot_.ItemEmbedding(ToInt(first_item))),
           .edges = {}});
    }
    return users_[ToInt(user)];
  }

  std::span<const UserState> OfSnapshot() const {
    return std::span(users_).first(snapshot_.user_clusters().size());
  }

 private:
  const Snapshot& snapshot_;
  std::vector<UserState> users_;
};

// Folds the events in order, and writes the rows of those that make some just before each is
// folded.
absl::Status FoldEvents(const World& world, const ReplayOptions& options, MacroGraph& graph,
                        UserStates& users, RowWriter* rows,
                        const std::function<bool()>& cancelled) {
  const std::vector<ReplayEvent>& events = world.events;
  NegativeSampler sampler(events, graph.item_count(), options.popular_negatives, options.seed + 1);
  FeatureBuffers buffers;
  std::vector<ItemIndex> items;
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < events.size(); ++i) {
    const ReplayEvent& event = events[i];
    UserState& user = users.Get(event.user, event.item);
    const auto offset = static_cast<Offset>(i + 1);
    if (rows != nullptr && event.makes_rows) {
      items.assign(1, event.item);
      for (uint32_t n = 0; n < options.negatives; ++n) {
        items.push_back(sampler.Draw(user, event.item, i));
      }
      absl::Status written =
          rows->Write(offset, GatherUserFeatures(graph, world.shape, user, buffers),
                      GatherItemFeatures(graph, world.shape, items, buffers));
      if (!written.ok()) return written;
    }
    graph.Apply(user, event.item, 1,
                {.time_us = event.time_s * kMicrosPerSecond, .offset = offset});
    if ((i + 1) % kEventsPerProgress != 0) continue;
    if (cancelled()) return absl::CancelledError("replay was interrupted; nothing was written");
    ShowProgress(i + 1, events.size(), start);
  }
  ShowProgress(events.size(), events.size(), start);
  return absl::OkStatus();
}

}  // namespace

absl::Status Replay(const ReplayOptions& options, const std::function<bool()>& cancelled) {
  absl::StatusOr<World> world = LoadWorld(options);
  if (!world.ok()) return world.status();
  const std::vector<ReplayEvent>& events = world->events;
  const RankerShape& shape = world->shape;
  const auto clusters = world->snapshot->item_clusters();
  MacroGraph graph({.user_clusters = static_cast<uint32_t>(shape.user_clusters),
                    .item_clusters = static_cast<uint32_t>(shape.item_clusters),
                    .recent_len = options.recent_len},
                   clusters);
  UserStates users(*world->snapshot);
  const auto sampled = static_cast<size_t>(std::count_if(
      events.begin(), events.end(), [](const ReplayEvent& event) { return event.makes_rows; }));
  std::unique_ptr<RowWriter> rows;
  if (!options.rows_out.empty()) {
    auto writer = RowWriter::Create(options.rows_out, sampled * (1 + options.negatives), shape);
    if (!writer.ok()) return writer.status();
    rows = *std::move(writer);
  }

  absl::Status folded = FoldEvents(*world, options, graph, users, rows.get(), cancelled);
  if (!folded.ok()) return folded;
  if (world->unknown_items > 0) {
    fmt::print(stderr, "replay: left out {} events on items outside the catalogue\n",
               world->unknown_items);
  }
  if (rows != nullptr) {
    if (absl::Status s = rows->Finish(); !s.ok()) return s;
    fmt::print(stderr, "replay: wrote {} rows to {}\n", sampled * (1 + options.negatives),
               options.rows_out);
  }
  if (!options.graph_out.empty()) {
    if (absl::Status s = WriteGraph(options.graph_out, users.OfSnapshot()); !s.ok()) return s;
    fmt::print(stderr, "replay: wrote the graph to {}\n", options.graph_out);
  }
  return absl::OkStatus();
}

}  // namespace groundswell
