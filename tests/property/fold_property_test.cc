// The fold of the log, over random histories of everything that the log can hold: the same log
// gives the same state whatever the batches, restarts and checkpoints; the counts are those of a
// plain model that knows only the definition; and what was forgotten is as if it had never been.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "graph/upkeep/redaction.h"
#include "tests/support/live_graph.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr size_t kItems = 10;
// Of all times: half of a second, so that some are of the same second and some are not.
constexpr int64_t kTickUs = 500'000;
constexpr MacroShape kShape{.user_clusters = 3, .item_clusters = 4, .recent_len = 3};

// What the definition says, interaction by interaction. Shares no code with graph/.
class Model {
 public:
  explicit Model(const Window& window) : window_(window) {
    for (size_t item = 0; item < kItems; ++item) items_.insert("i" + std::to_string(item));
  }

  void Add(Offset offset, const Interaction& event) {
    newest_us_ = std::max(newest_us_, event.event_time_us);
    const int64_t begin = window_.age_us > 0 ? newest_us_ - window_.age_us : INT64_MIN;
    std::erase_if(parts_, [&](const Part& part) { return part.time_us < begin; });
    const bool late =
        (forgotten_.contains(event.user_id) && event.event_time_us <= forgotten_[event.user_id]) ||
        (removed_.contains(event.item_id) && event.event_time_us <= removed_[event.item_id]);
    if (late || event.event_time_us < begin) return;
    if (!items_.contains(event.item_id)) {
      if (event.item_creation == ItemCreation::kNo || event.weight < 0) return;
      Create(event.item_id);
    }
    if (event.weight > 0) {
      parts_.push_back({event.user_id, event.item_id, event.event_time_us, offset, event.weight});
      std::sort(parts_.begin(), parts_.end());
    } else if (Count(event.user_id, event.item_id) + event.weight >= 0) {
      TakeBack(event);
    }
    LimitUser(event.user_id);
  }
  void Forget(const std::string& user, int64_t time_us) {
    std::erase_if(parts_, [&](const Part& part) { return part.user == user; });
    forgotten_[user] = std::max(forgotten_[user], time_us);
  }
  void Remove(const std::string& item, int64_t time_us) {
    std::erase_if(parts_, [&](const Part& part) { return part.item == item; });
    removed_[item] = std::max(removed_[item], time_us);
    items_.erase(item);
  }
  void Create(const std::string& item) { items_.insert(item); }

  groundswell::Count Count(const std::string& user, const std::string& item) const {
    groundswell::Count sum = 0;
    for (const Part& part : parts_) sum += part.user == user && part.item == item ? part.weight : 0;
    return sum;
  }
  const std::set<std::string>& items() const { return items_; }

 private:
  struct Part {
    std::string user, item;
    int64_t time_us;
    Offset offset;
    groundswell::Count weight;
    bool operator<(const Part& other) const {
      return std::tie(time_us, offset) < std::tie(other.time_us, other.offset);
    }
  };

  void TakeBack(const Interaction& event) {
    groundswell::Count left = -event.weight;
    for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
      if (part->user != event.user_id || part->item != event.item_id) continue;
      const auto taken = std::min(left, part->weight);
      part->weight -= taken;
      left -= taken;
    }
    std::erase_if(parts_, [](const Part& part) { return part.weight == 0; });
  }

  void LimitUser(const std::string& user) {
    const auto is_own = [&](const Part& part) { return part.user == user; };
    while (window_.interactions > 0 &&
           std::count_if(parts_.begin(), parts_.end(), is_own) > window_.interactions) {
      parts_.erase(std::find_if(parts_.begin(), parts_.end(), is_own));
    }
    std::vector<std::string> newest_items;
    for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
      if (is_own(*part) &&
          std::find(newest_items.begin(), newest_items.end(), part->item) == newest_items.end()) {
        newest_items.push_back(part->item);
      }
    }
    for (size_t i = 0; window_.items > 0 && i < newest_items.size(); ++i) {
      if (static_cast<int64_t>(i) < window_.items) continue;
      std::erase_if(parts_,
                    [&](const Part& part) { return is_own(part) && part.item == newest_items[i]; });
    }
  }

  const Window window_;
  std::vector<Part> parts_;  // oldest first
  std::map<std::string, int64_t> forgotten_, removed_;
  std::set<std::string> items_;
  int64_t newest_us_ = 0;
};

// One random history, as log entries, with what the model says of it.
struct History {
  std::vector<LogEntry> entries;
  Model model;
};

// `takes_back`: with weights below 0. With a merged edge per item a model of single interactions
// does not say which of them is the newest that is left, so windows by count and weights below 0 go
// together only where interactions are kept apart. `may_create`: some make an unknown item known.
History RandomHistory(std::mt19937_64& random, const Window& window, size_t length,
                      bool may_create = true) {
  History history{.entries = {}, .model = Model(window)};
  const bool takes_back = window.items == 0 || window.keeps_interactions();
  int64_t now_us = 100 * kTickUs;
  for (size_t at = 0; at < length; ++at) {
    const auto offset = static_cast<Offset>(at + 1);
    const std::string event_id = "e" + std::to_string(at);
    const std::string user = "u" + std::to_string(random() % 6);
    const std::string item = "i" + std::to_string(random() % (kItems + 4));
    now_us += static_cast<int64_t>(random() % 4) * kTickUs;
    const int64_t time_us =
        std::max<int64_t>(now_us - static_cast<int64_t>(random() % 12) * kTickUs, 0);
    switch (random() % 40) {
      case 0:
        history.entries.push_back(ForgetUser{
            .event_id = event_id, .user_id = user, .user_hash = HashId(user), .time_us = time_us});
        history.model.Forget(user, time_us);
        break;
      case 1:
        history.entries.push_back(RemoveItem{
            .event_id = event_id, .item_id = item, .item_hash = HashId(item), .time_us = time_us});
        history.model.Remove(item, time_us);
        break;
      case 2:
      case 3:
        history.entries.push_back(UpsertItem{.event_id = event_id, .item_id = item});
        history.model.Create(item);
        break;
      case 4:  // nothing of the graph's
        history.entries.push_back(ResetBlend{.event_id = event_id});
        break;
      case 5:
        history.entries.push_back(SetListRules{.event_id = event_id, .etag = event_id});
        break;
      default: {
        const bool negative = takes_back && random() % 4 == 0;
        const auto weight = static_cast<Count>(1 + random() % 3);
        Interaction event =
            MakeInteraction(user, item, negative ? -weight : weight, time_us, event_id);
        if (may_create && random() % 3 == 0) event.item_creation = ItemCreation::kAllowed;
        history.entries.push_back(event);
        history.model.Add(offset, event);
      }
    }
  }
  return history;
}

LiveGraphOptions Options(size_t batch_max, LoadFrom from = LoadFrom::kCheckpoint) {
  return {.shape = kShape, .spare_items = 200, .batch_max = batch_max, .load_from = from};
}

// Appends the whole history and applies it in one go; the log as it then is.
std::string FoldInOneGo(const std::string& path, const History& history) {
  LiveGraph live(path, Options(100'000));
  live.Apply(history.entries);
  live.ExpectVerified();
  for (const std::string& item : history.model.items()) {
    const auto index = live.catalogue->Find(item);
    EXPECT_TRUE(index.has_value()) << item;
    for (int u = 0; index.has_value() && u < 6; ++u) {
      const std::string user = "u" + std::to_string(u);
      const UserState state = live.User(user);
      Count count = 0;
      for (const Edge& edge : state.EdgesTo(*index)) count += edge.count;
      EXPECT_EQ(count, history.model.Count(user, item)) << user << " " << item;
    }
  }
  return live.Digest();
}

// The same in random batches, with restarts and checkpoints at random moments.
std::string FoldInPieces(const std::string& path, const History& history, std::mt19937_64& random) {
  size_t at = 0;
  std::string digest;
  while (at < history.entries.size()) {
    LiveGraph live(path, Options(1 + random() % 7,
                                 random() % 4 == 0 ? LoadFrom::kUsers : LoadFrom::kCheckpoint));
    live.ExpectVerified();
    for (uint64_t steps = 1 + random() % 4; steps > 0 && at < history.entries.size(); --steps) {
      const size_t count = std::min<size_t>(1 + random() % 60, history.entries.size() - at);
      const auto begin = history.entries.begin() + static_cast<ptrdiff_t>(at);
      live.Apply({begin, begin + static_cast<ptrdiff_t>(count)});
      at += count;
      if (random() % 3 == 0) {
        EXPECT_TRUE(live.Checkpoint().ok());
      }
    }
    digest = live.Digest();
  }
  return digest;
}

std::vector<LogEntry> ReadWholeLog(const std::string& path) {
  const auto store = OpenStore(path);
  const auto log = store->ReadLog(1, 100'000);
  std::vector<LogEntry> entries;
  for (const auto& [offset, entry] : *log) entries.push_back(entry);
  return entries;
}

TEST(FoldProperty, OneLogGivesOneStateHoweverItIsFolded) {
  for (uint64_t seed = 1; seed <= Rounds(25u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Window window = seed % 4 == 0 ? Window{} : RandomWindow(random, kTickUs);
    const History history = RandomHistory(random, window, 300);
    TemporaryDirectory directory;
    MakeStore(directory.File("whole"), kItems, window);
    MakeStore(directory.File("pieces"), kItems, window);
    const std::string digest = FoldInOneGo(directory.File("whole"), history);
    EXPECT_EQ(FoldInPieces(directory.File("pieces"), history, random), digest);
    if (testing::Test::HasFailure()) return;
  }
}

// The log from which the ids were taken out, folded from the beginning. (Without a window by count:
// what an interaction with a removed item pushed out of such a window does not come back.)
TEST(FoldProperty, WhatWasForgottenIsAsIfItHadNeverBeen) {
  for (uint64_t seed = 101; seed < 101 + Rounds(15u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Window window{
        .age_us = random() % 2 == 0 ? 0 : (5 + static_cast<int64_t>(random() % 60)) * kTickUs};
    const History history = RandomHistory(random, window, 300);
    TemporaryDirectory directory;
    MakeStore(directory.File("first"), kItems, window);
    MakeStore(directory.File("again"), kItems, window);
    const std::string digest = FoldInOneGo(directory.File("first"), history);
    {
      const auto store = OpenStore(directory.File("first"));
      ASSERT_TRUE(RedactLog(*store, 1, [] { return true; }).ok());
    }
    const std::vector<LogEntry> redacted = ReadWholeLog(directory.File("first"));
    {
      const auto store = OpenStore(directory.File("again"));
      GraphStore::Batch batch(*store);
      for (size_t at = 0; at < redacted.size(); ++at) {
        batch.PutLogEntry(static_cast<Offset>(at + 1), redacted[at]);
      }
      ASSERT_TRUE(store->Commit(batch, true).ok());
    }
    LiveGraph again(directory.File("again"), Options(100'000));
    EXPECT_EQ(again.Digest(), digest);
    again.ExpectVerified();
    if (testing::Test::HasFailure()) return;
  }
}

// The same history, in a log that never held the forgotten user.
TEST(FoldProperty, ForgettingEqualsAFoldWithoutTheUser) {
  for (uint64_t seed = 201; seed < 201 + Rounds(15u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Window window = RandomWindow(random, kTickUs);
    // What is left of the log here does not say which items the user made known.
    History history = RandomHistory(random, window, 200, /*may_create=*/false);
    history.entries.push_back(ForgetUser{.event_id = "last",
                                         .user_id = "u0",
                                         .user_hash = HashId("u0"),
                                         .time_us = int64_t{1} << 40});
    history.model.Forget("u0", int64_t{1} << 40);
    TemporaryDirectory directory;
    MakeStore(directory.File("with"), kItems, window);
    MakeStore(directory.File("without"), kItems, window);
    const std::string digest = FoldInOneGo(directory.File("with"), history);
    for (LogEntry& entry : history.entries) {
      auto* event = std::get_if<Interaction>(&entry);
      const auto* forget = std::get_if<ForgetUser>(&entry);
      if (event != nullptr && event->user_id == "u0") {
        entry = Redacted{.event_time_us = event->event_time_us};  // nothing but its time
      } else if (forget != nullptr && forget->user_id == "u0") {
        entry = Redacted{};
      }
    }
    {
      const auto store = OpenStore(directory.File("without"));
      GraphStore::Batch batch(*store);
      for (size_t at = 0; at < history.entries.size(); ++at) {
        batch.PutLogEntry(static_cast<Offset>(at + 1), history.entries[at]);
      }
      ASSERT_TRUE(store->Commit(batch, true).ok());
    }
    LiveGraph without(directory.File("without"), Options(100'000));
    EXPECT_EQ(without.Digest(), digest);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace groundswell
