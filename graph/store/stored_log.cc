#include "graph/store/stored_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <variant>

#include "graph/log/entry_hash.h"

namespace groundswell {
namespace {

// The order that edges leave the window in is that of their times as unsigned numbers.
absl::Status CheckTimes(const AppendRequest& request) {
  for (size_t i = 0; i < request.entries.size(); ++i) {
    const auto* interaction = std::get_if<Interaction>(&request.entries[i]);
    if (interaction == nullptr || interaction->event_time_us >= 0) continue;
    return absl::InvalidArgumentError(
        fmt::format("interactions[{}].event_time is {} us; it must not be before 1970", i,
                    interaction->event_time_us));
  }
  return absl::OkStatus();
}

Appended::Outcome OutcomeOfRepeated(uint64_t logged, uint64_t content_hash) {
  if (logged == content_hash) return Appended::Outcome::kDuplicate;
  return logged == (content_hash | kRefusedContent) ? Appended::Outcome::kEtagMismatch
                                                    : Appended::Outcome::kConflict;
}

bool IsRefused(Appended::Outcome outcome) {
  return outcome == Appended::Outcome::kConflict || outcome == Appended::Outcome::kEtagMismatch;
}

}  // namespace

StoredLog::Batch::Batch(const StoredLog& log)
    : writes_(log.store_),
      first_(log.end() + 1),
      next_(first_),
      event_ids_begin_(log.event_ids_begin_),
      producer_count_(log.producers_.size()),
      list_rules_etag_(log.list_rules_etag_) {}

void StoredLog::Batch::PutTaken(const SharedLog& log) {
  writes_.PutSharedLog(log);
  is_empty_ = false;
}

absl::StatusOr<std::unique_ptr<StoredLog>> StoredLog::Open(GraphStore& store, Offset base,
                                                           Options options) {
  const absl::StatusOr<Offset> begin = store.LogBegin();
  if (!begin.ok()) return begin.status();
  const absl::StatusOr<Offset> last = store.LastLogOffset();
  if (!last.ok()) return last.status();
  const absl::StatusOr<std::optional<Offset>> event_ids = store.EventIdsBegin();
  if (!event_ids.ok()) return event_ids.status();
  auto producers = store.ReadProducers();
  if (!producers.ok()) return producers.status();
  const absl::StatusOr<std::string> list_rules = store.ReadSetting(kListRulesSetting);
  if (!list_rules.ok()) return list_rules.status();
  // A log may be empty and yet have had entries, all cut off or none of them carried over from
  // before `base`: no offset is given twice.
  const Offset first = *begin > 0 ? *begin : base + 1;
  const Offset end = std::max({*last, first - 1, base});
  return std::unique_ptr<StoredLog>(
      new StoredLog(store, std::move(options), first, std::max(event_ids->value_or(0), first), end,
                    *std::move(producers), EtagOfListRules(*list_rules)));
}

StoredLog::StoredLog(GraphStore& store, Options options, Offset begin, Offset event_ids_begin,
                     Offset end, std::map<std::string, Producer> producers,
                     std::string list_rules_etag)
    : store_(store),
      options_(std::move(options)),
      begin_(begin),
      end_at_opening_(end),
      end_(end),
      event_ids_begin_(event_ids_begin),
      producers_(std::move(producers)),
      list_rules_etag_(std::move(list_rules_etag)) {}

absl::StatusOr<std::vector<std::pair<Offset, LogEntry>>> StoredLog::Read(Offset from,
                                                                         size_t limit) const {
  const Offset last = end();
  if (from > last) return std::vector<std::pair<Offset, LogEntry>>{};
  const auto available = static_cast<size_t>(last - from + 1);
  auto entries = store_.ReadLog(from, std::min(limit, available));
  if (entries.ok() && entries->empty()) {
    return absl::DataLossError(
        fmt::format("the log ends before offset {} although it reached {}", from, last));
  }
  return entries;
}

// The records of the window stay: Finish reads from them which ids leave it.
absl::Status StoredLog::TruncateBefore(Offset offset) {
  const Offset begin = std::min({offset, end() - options_.event_ids_max + 1,
                                 event_ids_begin_.load(std::memory_order_acquire)});
  if (begin <= begin_) return absl::OkStatus();
  GraphStore::Batch writes(store_);
  writes.TruncateLogBefore(begin);
  absl::Status status = store_.Commit(writes, /*sync=*/false);
  if (status.ok()) begin_.store(begin, std::memory_order_release);
  return status;
}

absl::StatusOr<std::optional<LoggedEventId>> StoredLog::FindEventId(const EventIdHash& hash,
                                                                    const Batch& batch) const {
  std::optional<LoggedEventId> known;
  // The database does not know yet what the batch itself brings.
  if (const auto at = batch.event_ids_.find(hash); at != batch.event_ids_.end()) {
    known = at->second;
  } else {
    const absl::StatusOr<std::optional<LoggedEventId>> stored = store_.FindEventId(hash);
    if (!stored.ok()) return stored.status();
    known = *stored;
  }
  // By the offsets alone: what was deleted when depends on the batches.
  if (known.has_value() && known->offset < batch.next_ - options_.event_ids_max) known.reset();
  return known;
}

absl::StatusOr<Appended> StoredLog::TakeEntry(const LogEntry& entry, Batch& batch) const {
  const EventIdHash hash = HashEventId(EventIdOf(entry));
  const uint64_t content_hash = ContentHashOf(entry);
  const absl::StatusOr<std::optional<LoggedEventId>> earlier = FindEventId(hash, batch);
  if (!earlier.ok()) return earlier.status();
  if (earlier->has_value()) {
    return Appended{.outcome = OutcomeOfRepeated((*earlier)->content_hash, content_hash),
                    .offset = (*earlier)->offset};
  }
  if (const auto* set = std::get_if<SetListRules>(&entry)) return TakeListRules(hash, *set, batch);
  return Appended{.outcome = Appended::Outcome::kAppended,
                  .offset = Put(hash, content_hash, entry, batch)};
}

Offset StoredLog::Put(const EventIdHash& hash, uint64_t content_hash, const LogEntry& entry,
                      Batch& batch) {
  const LoggedEventId logged{.offset = batch.next_++, .content_hash = content_hash};
  batch.writes_.PutLogEntry(logged.offset, entry);
  batch.writes_.PutEventId(hash, logged);
  batch.event_ids_.insert_or_assign(hash, logged);
  batch.is_empty_ = false;
  return logged.offset;
}

// It is logged whatever becomes of it: what comes again under its id, behind others' rules, has the
// same answer and changes nothing.
Appended StoredLog::TakeListRules(const EventIdHash& hash, const SetListRules& set,
                                  Batch& batch) const {
  const bool is_same = set.etag == batch.list_rules_etag_;
  const SetListRules logged{.event_id = set.event_id,
                            .etag_before = set.etag_before,
                            .etag = set.etag,
                            .rules = {},
                            .is_refused = !is_same && !set.etag_before.empty() &&
                                          set.etag_before != batch.list_rules_etag_};
  if (!is_same && !logged.is_refused) {
    batch.writes_.PutSetting(kListRulesSetting, set.rules);
    batch.list_rules_ = set.rules;
    batch.list_rules_etag_ = set.etag;
  }
  return {.outcome =
              logged.is_refused ? Appended::Outcome::kEtagMismatch : Appended::Outcome::kAppended,
          .offset = Put(hash, ContentHashOf(logged), logged, batch)};
}

// Of a producer that is forgotten, the next number would be a gap, and it would be stuck: only one
// of which nothing has come for a whole window may go, and of those the one that was silent for
// longest, the first by id where several are.
absl::Status StoredLog::MakeRoomForProducer(Batch& batch) const {
  if (batch.producer_count_ < options_.producers_max) return absl::OkStatus();
  std::string silent;
  Offset last_offset = batch.next_ - options_.event_ids_max;
  const auto consider = [&](const std::string& id, const Producer& producer) {
    if (std::tie(producer.last_offset, id) >= std::tie(last_offset, silent)) return;
    silent = id;
    last_offset = producer.last_offset;
  };
  for (const auto& [id, producer] : producers_) {
    if (!batch.producers_.contains(id)) consider(id, producer);
  }
  for (const auto& [id, producer] : batch.producers_) {
    if (producer.has_value()) consider(id, *producer);
  }
  if (silent.empty()) {
    return absl::FailedPreconditionError(fmt::format(  // to try again would not help
        "{} producers are known, and each was heard of within the newest {} interactions; use "
        "fewer producer ids, or raise log.producers_max",
        batch.producer_count_, options_.event_ids_max));
  }
  batch.writes_.DeleteProducer(silent);
  batch.producers_[silent] = std::nullopt;
  --batch.producer_count_;
  return absl::OkStatus();
}

// As it stands before the request, behind the batch's earlier ones.
std::optional<Producer> StoredLog::FindProducer(const std::string& id, const Batch& batch) const {
  if (const auto at = batch.producers_.find(id); at != batch.producers_.end()) return at->second;
  const auto at = producers_.find(id);
  return at == producers_.end() ? std::nullopt : std::optional<Producer>(at->second);
}

// What forbids a request is found before its first entry is taken, so that one which fails alone
// leaves nothing in the batch.
absl::StatusOr<AppendResult> StoredLog::Take(const AppendRequest& request, Batch& batch) const {
  if (absl::Status s = CheckTimes(request); !s.ok()) return s;
  AppendResult result;
  Producer producer;
  const bool has_producer = !request.producer_id.empty();
  if (has_producer) {
    const std::optional<Producer> known = FindProducer(request.producer_id, batch);
    producer = known.value_or(Producer{});
    if (request.first_sequence > producer.last_sequence + 1) {
      return absl::FailedPreconditionError(fmt::format(
          "first_sequence is {}, but the next of producer \"{}\" is {}: send what is missing first",
          request.first_sequence, request.producer_id, producer.last_sequence + 1));
    }
    if (!known.has_value() && request.last_sequence > 0) {
      if (absl::Status s = MakeRoomForProducer(batch); !s.ok()) return s;
      ++batch.producer_count_;
    }
  }
  int64_t taken = 0;  // of the numbers that are new
  for (size_t i = 0; i < request.entries.size(); ++i) {
    // Sent again after a broken stream: known by its number, however long ago its id was forgotten.
    if (has_producer && request.sequences[i] <= producer.last_sequence) {
      result.entries.push_back(
          {.outcome = Appended::Outcome::kDuplicate, .offset = producer.last_offset});
      continue;
    }
    const absl::StatusOr<Appended> appended = TakeEntry(request.entries[i], batch);
    if (!appended.ok()) return appended.status();
    result.entries.push_back(*appended);
    taken += IsRefused(appended->outcome) ? 0 : 1;
  }
  if (has_producer) {
    // Also when no entry was new: numbers of refused entries count as dealt with.
    if (request.last_sequence > producer.last_sequence) {
      const int64_t refused = request.last_sequence - producer.last_sequence - taken;
      producer = {.last_sequence = request.last_sequence,
                  .last_offset = batch.next_ - 1,
                  .refused_count = producer.refused_count + refused,
                  .mark = request.producer_mark};
      batch.writes_.PutProducer(request.producer_id, producer);
      batch.producers_[request.producer_id] = producer;
      batch.is_empty_ = false;
    }
    result.last_sequence = producer.last_sequence;
    result.refused_count = producer.refused_count;
    if (request.last_sequence == 0) result.producer_mark = std::move(producer.mark);
  }
  return result;
}

// Deletes the ids that leave the window with the batch's entries. The log
// itself says which: no second list of ids in the order of their age has to be kept. After
// `event_ids_max` was lowered more than that have left: then two go for each that comes.
absl::Status StoredLog::Finish(Batch& batch) const {
  const Offset begin = batch.event_ids_begin_;
  const Offset until = std::min({batch.next_ - options_.event_ids_max,
                                 begin + 2 * (batch.next_ - batch.first_), batch.first_});
  if (until <= begin) return absl::OkStatus();
  // An id may stand twice in the log, the newer time within the window of now, where another window
  // held once.
  const bool may_be_newer =
      begin <= end_at_opening_ || begin < batch.first_ - options_.event_ids_max;
  const auto old = store_.ReadLog(begin, static_cast<size_t>(until - begin));
  if (!old.ok()) return old.status();
  for (const auto& [offset, entry] : *old) {
    const std::optional<EventIdHash> hash = EventIdHashOf(entry);
    if (!hash.has_value() || batch.event_ids_.contains(*hash)) continue;  // logged anew since
    if (may_be_newer) {
      const absl::StatusOr<std::optional<LoggedEventId>> known = store_.FindEventId(*hash);
      if (!known.ok()) return known.status();
      if (!known->has_value() || (*known)->offset != offset) continue;
    }
    batch.writes_.DeleteEventId(*hash);
  }
  batch.event_ids_begin_ = until;
  batch.writes_.PutEventIdsBegin(until);
  return absl::OkStatus();
}

absl::Status StoredLog::Commit(Batch& batch, bool sync) {
  if (batch.is_empty_) return absl::OkStatus();
  if (absl::Status s = store_.Commit(batch.writes_, sync); !s.ok()) return s;
  // What is remembered in memory, and what others are told, only now that it is in the database.
  for (const auto& [id, producer] : batch.producers_) {
    if (producer.has_value()) {
      producers_[id] = *producer;
    } else {
      producers_.erase(id);
    }
  }
  list_rules_etag_ = batch.list_rules_etag_;
  if (batch.list_rules_.has_value() && options_.on_list_rules) {
    options_.on_list_rules(*batch.list_rules_);
  }
  event_ids_begin_.store(batch.event_ids_begin_, std::memory_order_release);
  end_.store(batch.end(), std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace groundswell
