// EventReader: the interactions of a log (csv/log_reader.h), one after the other, with the ids that
// make each count once.
#ifndef GROUNDSWELL_CLIENT_EVENTS_EVENT_READER_H_
#define GROUNDSWELL_CLIENT_EVENTS_EVENT_READER_H_

#include <cstddef>
#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/events/content_ids.h"
#include "csv/event_sorter.h"
#include "csv/log_reader.h"
#include "groundswell/v1/interaction.pb.h"

namespace groundswell {

struct ReadEvent {
  // From 1, ascending: of the record in the file, the CSV header not counted, or, where they are
  // sorted, of the event among them.
  uint64_t record = 0;
  v1::Interaction interaction;
};

class EventReader {
 public:
  struct Options {
    LogReader::Options log;
    std::string default_type = "purchase";  // of records that name none
    // Event ids of records without one: "<id_prefix>:<record>". Empty: by what they say, see
    // ContentIds.
    std::string id_prefix;
    // Above 0: in the order of time, for which the whole log is read into so many bytes at most.
    size_t sort_bytes_max = 0;
  };
  // For logs of some ten million records.
  static constexpr size_t kSortBytesMax = size_t{2} << 30;

  // `input` must outlive the reader.
  EventReader(std::istream& input, Options options);

  // The next event; nullopt at the end. Errors as those of LogReader::Next; and ResourceExhausted,
  // and `ended`, for a log that is too large to be sorted.
  absl::StatusOr<std::optional<ReadEvent>> Next();
  // The reading is over, by an error that every further call says again.
  bool ended() const { return !fatal_.ok() || log_.ended(); }
  // The error is of one record, and reading may go on behind it.
  bool IsOfRecord(const absl::Status& status) const {
    return absl::IsInvalidArgument(status) && !ended();
  }

  uint64_t bytes_read() const { return log_.bytes_read(); }
  const LogSummary& summary() const { return log_.summary(); }
  LogShape shape() const { return log_.shape(); }

 private:
  absl::StatusOr<std::optional<LogEvent>> NextOfLog();
  absl::StatusOr<std::optional<LogEvent>> NextSorted();
  v1::Interaction MakeInteraction(LogEvent event);

  const Options options_;
  LogReader log_;
  EventSorter sorter_;
  bool is_sorted_ = false;
  uint64_t events_ = 0;
  absl::Status fatal_;
  ContentIds content_ids_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_EVENT_READER_H_
