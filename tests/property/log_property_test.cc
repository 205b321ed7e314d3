// What the log takes is a function of the order of the requests: however they share writes,
// whatever is sent again, applied, redacted or started anew in between, there is one log, one set
// of answers and one digest. The oracle decides by the definition, and shares no code with
// graph/store.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/log/record.h"
#include "graph/upkeep/redaction.h"
#include "tests/support/live_graph.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr size_t kItems = 6;
constexpr int64_t kWindow = 40;  // entries
constexpr size_t kProducers = 3;

using Answer = absl::StatusOr<AppendResult>;

class TakeOracle {
 public:
  Answer Take(const AppendRequest& request) {
    for (const LogEntry& entry : request.entries) {
      const auto* interaction = std::get_if<Interaction>(&entry);
      if (interaction != nullptr && interaction->event_time_us < 0) {
        return absl::InvalidArgumentError("before 1970");
      }
    }
    AppendResult result;
    int64_t last_sequence = 0;
    if (!request.producer_id.empty()) {
      const auto known = producers_.find(request.producer_id);
      if (known != producers_.end()) last_sequence = known->second.last_sequence;
      if (request.first_sequence > last_sequence + 1) return absl::FailedPreconditionError("gap");
      if (known == producers_.end() && !MakeRoom()) return absl::FailedPreconditionError("full");
    }
    std::set<int64_t> refused;  // numbers, of those that are new
    for (int64_t n = last_sequence + 1; n <= request.last_sequence; ++n) refused.insert(n);
    const Offset known_until = last_sequence > 0 ? producers_[request.producer_id].last_offset : 0;
    for (size_t i = 0; i < request.entries.size(); ++i) {
      if (!request.producer_id.empty() && request.sequences[i] <= last_sequence) {
        result.entries.push_back({Appended::Outcome::kDuplicate, known_until});
      } else {
        result.entries.push_back(TakeEntry(request.entries[i]));
        const Appended::Outcome outcome = result.entries.back().outcome;
        const bool is_taken =
            outcome == Appended::Outcome::kAppended || outcome == Appended::Outcome::kDuplicate;
        if (is_taken && !request.producer_id.empty()) refused.erase(request.sequences[i]);
      }
    }
    if (request.producer_id.empty()) return result;
    if (request.last_sequence > last_sequence) {
      last_sequence = request.last_sequence;
      Producer& producer = producers_[request.producer_id];
      producer = {last_sequence, static_cast<Offset>(log_.size()),
                  producer.refused_count + static_cast<int64_t>(refused.size())};
    }
    result.last_sequence = last_sequence;
    const auto known = producers_.find(request.producer_id);
    result.refused_count = known == producers_.end() ? 0 : known->second.refused_count;
    return result;
  }
  Offset end() const { return static_cast<Offset>(log_.size()); }
  const std::string& list_rules() const { return list_rules_; }

 private:
  static std::string ContentOf(const LogEntry& entry) {
    if (const auto* one = std::get_if<Interaction>(&entry)) {
      return one->user_id + " took " + one->item_id + " " + std::to_string(one->weight) + " at " +
             std::to_string(one->event_time_us);
    }
    if (const auto* one = std::get_if<ForgetUser>(&entry)) return "forget " + one->user_id;
    if (const auto* one = std::get_if<RemoveItem>(&entry)) return "remove " + one->item_id;
    if (const auto* one = std::get_if<SetListRules>(&entry)) {
      return "set " + one->rules + " where " + one->etag_before;
    }
    return "upsert " + std::get<UpsertItem>(entry).item_id;
  }

  Appended TakeEntry(const LogEntry& entry) {
    const std::pair<std::string, std::string> asked(EventIdOf(entry), ContentOf(entry));
    for (Offset at = std::max<Offset>(end() + 1 - kWindow, 1); at <= end(); ++at) {
      const auto& logged = log_[static_cast<size_t>(at - 1)];
      if (logged.first != asked.first) continue;
      if (logged == asked && refused_.contains(at)) return {Appended::Outcome::kEtagMismatch, at};
      return {logged == asked ? Appended::Outcome::kDuplicate : Appended::Outcome::kConflict, at};
    }
    log_.push_back(asked);
    const auto* set = std::get_if<SetListRules>(&entry);
    if (set == nullptr || set->rules == list_rules_) return {Appended::Outcome::kAppended, end()};
    if (set->etag_before.empty() || set->etag_before == EtagOfListRules(list_rules_)) {
      list_rules_ = set->rules;
      return {Appended::Outcome::kAppended, end()};
    }
    refused_.insert(end());
    return {Appended::Outcome::kEtagMismatch, end()};
  }

  bool MakeRoom() {
    if (producers_.size() < kProducers) return true;
    const auto silent = std::min_element(
        producers_.begin(), producers_.end(),
        [](const auto& a, const auto& b) { return a.second.last_offset < b.second.last_offset; });
    if (silent->second.last_offset > end() - kWindow) return false;
    producers_.erase(silent);
    return true;
  }

  std::vector<std::pair<std::string, std::string>> log_;  // event id and content
  std::map<std::string, Producer> producers_;
  std::string list_rules_;
  std::set<Offset> refused_;  // of such rules
};

// Ids, users and items of which each comes again and again.
class RandomRequests {
 public:
  explicit RandomRequests(uint64_t seed) : random_(seed) {}

  AppendRequest Next() {
    // What a client sends that heard nothing, or another server's client.
    if (!sent_.empty() && random_() % 5 == 0) return sent_[sent_.size() - 1 - Newest(sent_.size())];
    AppendRequest request;
    for (uint64_t count = random_() % 7; count > 0; --count) request.entries.push_back(Entry());
    if (random_() % 2 == 0) Number(request);
    sent_.push_back(request);
    return request;
  }

 private:
  // How far back: mostly little.
  size_t Newest(size_t count) {
    return static_cast<size_t>(random_() %
                               (random_() % 4 == 0 ? count : std::min<size_t>(count, 8)));
  }

  LogEntry Entry() {
    std::string id = "e" + std::to_string(entries_);
    if (entries_ > 0 && random_() % 4 == 0) {
      id = "e" + std::to_string(entries_ - 1 - Newest(entries_));
    } else {
      ++entries_;
    }
    const std::string user = "u" + std::to_string(random_() % 4);
    const std::string item = "i" + std::to_string(random_() % (kItems + 2));
    now_us_ += static_cast<int64_t>(random_() % 3);
    switch (random_() % 24) {
      case 0:
        return ForgetUser{
            .event_id = id, .user_id = user, .user_hash = HashId(user), .time_us = now_us_};
      case 1:
        return RemoveItem{
            .event_id = id, .item_id = item, .item_hash = HashId(item), .time_us = now_us_};
      case 2:
        return UpsertItem{.event_id = id, .item_id = item};
      case 3: {
        const std::string rules = "rules " + std::to_string(random_() % 3);
        const std::string before = "rules " + std::to_string(random_() % 3);
        return SetListRules{.event_id = id,
                            .etag_before = random_() % 4 == 0 ? "" : EtagOfListRules(before),
                            .etag = EtagOfListRules(rules),
                            .rules = rules};
      }
      default: {
        const int64_t time_us =
            random_() % 40 == 0 ? -1 : now_us_ - static_cast<int64_t>(random_() % 9);
        Interaction interaction =
            MakeInteraction(user, item, 1 + static_cast<Count>(random_() % 2), time_us, id);
        if (random_() % 4 == 0) interaction.item_creation = ItemCreation::kAllowed;
        return interaction;
      }
    }
  }

  // Mostly the producer's next numbers; also such as it sent before, with gaps, and of no entry.
  void Number(AppendRequest& request) {
    request.producer_id = "p" + std::to_string(random_() % 6);
    int64_t& next = next_[request.producer_id];
    if (next == 0 || random_() % 12 == 0) next = 1;  // one that was replaced begins anew
    request.first_sequence = next;
    if (random_() % 6 == 0) request.first_sequence += static_cast<int64_t>(random_() % 5) - 2;
    request.first_sequence = std::max<int64_t>(request.first_sequence, 1);
    request.last_sequence = request.first_sequence;
    for (size_t i = 0; i < request.entries.size(); ++i) {
      request.last_sequence += static_cast<int64_t>(random_() % 4 == 0);  // a refused one's number
      request.sequences.push_back(request.last_sequence++);
    }
    next = std::max(next, request.last_sequence + 1);
  }

  std::mt19937_64 random_;
  std::vector<AppendRequest> sent_;
  std::map<std::string, int64_t> next_;
  size_t entries_ = 0;
  int64_t now_us_ = 100;
};

LiveGraphOptions OptionsWith(size_t group_max, size_t batch_max) {
  return {.spare_items = 100,
          .batch_max = batch_max,
          .log = {.group_max = group_max, .event_ids_max = kWindow, .producers_max = kProducers}};
}

// Gives the log all the requests while its writer waits, so that they share as few writes as can
// be.
std::vector<Answer> SendTogether(InteractionLog& log, const std::vector<AppendRequest>& requests) {
  std::promise<void> all_wait;
  std::shared_future<void> released = all_wait.get_future().share();
  EXPECT_TRUE(log.Append({}, [released](const Answer&) { released.wait(); }).ok());
  std::vector<std::promise<Answer>> promises(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_TRUE(
        log.Append(requests[i],
                   [&promises, i](Answer answer) { promises[i].set_value(std::move(answer)); })
            .ok());
  }
  all_wait.set_value();
  std::vector<Answer> answers;
  for (std::promise<Answer>& promise : promises) answers.push_back(promise.get_future().get());
  return answers;
}

std::string ToText(const Answer& answer) {
  if (!answer.ok()) return absl::StatusCodeToString(answer.status().code());
  std::string text = "to " + std::to_string(answer->last_sequence) + " without " +
                     std::to_string(answer->refused_count) + ":";
  for (const Appended& one : answer->entries) {
    text += " " + std::to_string(static_cast<int>(one.outcome)) + "@" + std::to_string(one.offset);
  }
  return text;
}

// The log as it is stored in the end, what it has beside it, and the digest.
struct Outcome {
  std::vector<std::string> records;
  std::string list_rules;
  std::string digest;
};

// Redacted wholly, since redaction comes when it comes.
Outcome OutcomeOf(LiveGraph& live) {
  EXPECT_TRUE(live.WaitFor(live.log->end()));
  EXPECT_TRUE(RedactLog(*live.store, 1, [] { return true; }).ok());
  live.ExpectVerified();
  EXPECT_TRUE(VerifyLog(*live.store, live.log->begin(), live.log->end()).ok());
  const auto list_rules = live.store->ReadSetting(kListRulesSetting);
  EXPECT_TRUE(list_rules.ok()) << list_rules.status();
  Outcome outcome{.records = {}, .list_rules = *list_rules, .digest = live.Digest()};
  const auto entries = live.store->ReadLog(1, 100'000);
  EXPECT_TRUE(entries.ok()) << entries.status();
  for (const auto& [offset, entry] : *entries) outcome.records.push_back(EncodeLogRecord(entry));
  return outcome;
}

Outcome TakeOneByOne(const std::string& path, const std::vector<AppendRequest>& requests,
                     const std::vector<std::string>& expected) {
  LiveGraph live(path, OptionsWith(1, 1'000));
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(ToText(live.Send(requests[i])), expected[i]) << "request " << i;
  }
  return OutcomeOf(live);
}

// In random groups, with restarts, applying and redaction at random moments.
Outcome TakeInGroups(const std::string& path, const std::vector<AppendRequest>& requests,
                     const std::vector<std::string>& expected, std::mt19937_64& random) {
  size_t at = 0;
  while (true) {
    LiveGraph live(path, OptionsWith(1 + random() % kWindow, 1 + random() % 9));
    for (uint64_t steps = 1 + random() % 6; steps > 0 && at < requests.size(); --steps) {
      const size_t count = std::min<size_t>(1 + random() % 12, requests.size() - at);
      const auto first = requests.begin() + static_cast<ptrdiff_t>(at);
      const auto answers = SendTogether(*live.log, {first, first + static_cast<ptrdiff_t>(count)});
      for (const Answer& answer : answers) {
        EXPECT_EQ(ToText(answer), expected[at]) << "request " << at;
        ++at;
      }
      if (random() % 2 == 0) {
        EXPECT_TRUE(live.WaitFor(live.log->end()));
      }
      if (random() % 3 == 0) {
        EXPECT_TRUE(RedactLog(*live.store, 1, [] { return true; }).ok());
      }
    }
    if (at == requests.size()) return OutcomeOf(live);
  }
}

TEST(LogProperty, WhatIsTakenIsAFunctionOfTheOrderOfRequests) {
  std::map<std::string, int> seen;
  for (uint64_t seed = 1; seed <= Rounds(12u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomRequests random_requests(seed);
    TakeOracle oracle;
    std::vector<AppendRequest> requests;
    std::vector<std::string> expected;
    for (int i = 0; i < 150; ++i) {
      requests.push_back(random_requests.Next());
      const Answer answer = oracle.Take(requests.back());
      expected.push_back(ToText(answer));
      if (!answer.ok()) ++seen[std::string(answer.status().message())];
      if (!answer.ok()) continue;
      if (answer->refused_count > 0) ++seen["refused"];
      for (const Appended& one : answer->entries) {
        ++seen["outcome " + std::to_string(static_cast<int>(one.outcome))];
      }
    }
    std::mt19937_64 random(seed);
    TemporaryDirectory directory;
    MakeStore(directory.File("one by one"), kItems);
    MakeStore(directory.File("in groups"), kItems);
    const Outcome one_by_one = TakeOneByOne(directory.File("one by one"), requests, expected);
    const Outcome in_groups = TakeInGroups(directory.File("in groups"), requests, expected, random);
    EXPECT_EQ(one_by_one.records.size(), static_cast<size_t>(oracle.end()));
    EXPECT_EQ(one_by_one.list_rules, oracle.list_rules());
    EXPECT_EQ(in_groups.list_rules, oracle.list_rules());
    for (size_t i = 0; i < in_groups.records.size(); ++i) {
      EXPECT_EQ(in_groups.records[i], one_by_one.records[i]) << "offset " << i + 1;
    }
    EXPECT_EQ(in_groups.digest, one_by_one.digest);
    if (testing::Test::HasFailure()) return;
  }
  for (const char* what : {"outcome 0", "outcome 1", "outcome 2", "outcome 3", "gap", "full",
                           "before 1970", "refused"}) {
    EXPECT_GT(seen[what], 5) << what << " hardly ever came";
  }
}

}  // namespace
}  // namespace groundswell
