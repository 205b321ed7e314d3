// EventReader: interactions from a CSV or JSON lines file, one after the other, in bounded memory.
#ifndef GROUNDSWELL_CLIENT_EVENTS_EVENT_READER_H_
#define GROUNDSWELL_CLIENT_EVENTS_EVENT_READER_H_

#include <cstddef>
#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/events/content_ids.h"
#include "csv/csv_reader.h"
#include "groundswell/v1/interaction.pb.h"

namespace groundswell {

enum class EventFormat { kCsv, kJsonLines };

// Fields of an interaction and the columns (CSV) or keys (JSON) that hold them. user, item and
// timestamp are required: Unix seconds, with a fraction if need be, or RFC 3339. type, weight and
// event_id are optional; others are passed over.
struct EventColumns {
  std::string timestamp = "timestamp";
  std::string user = "user";
  std::string item = "item";
  std::string type = "type";
  std::string weight = "weight";
  std::string event_id = "event_id";
};

struct ReadEvent {
  uint64_t record = 0;  // number of the record in the file, from 1, the CSV header not counted
  v1::Interaction interaction;
};

// Microseconds since 1970, of Unix seconds (with a fraction if need be) or RFC 3339; nullopt for
// anything else, and for times before 1970 or after the year 9999.
std::optional<int64_t> ParseTimestamp(const std::string& text);
inline constexpr std::string_view kTimestampForms =
    "Unix seconds such as 1322000000, or RFC 3339 such as 2011-11-22T22:13:20Z";

class EventReader {
 public:
  struct Options {
    EventFormat format = EventFormat::kCsv;
    EventColumns columns;
    std::string default_type = "purchase";
    // Event ids of records without one: "<id_prefix>:<record>". Empty: by what they say, see
    // ContentIds.
    std::string id_prefix;
  };
  static constexpr size_t kLineBytesMax = 65'536;  // of JSON; see CsvReader for CSV

  // `input` must outlive the reader.
  EventReader(std::istream& input, Options options);

  // The next event; nullopt at the end. InvalidArgument for a record that is not an interaction,
  // naming the record, the field, the value and what would be right, and for a CSV record with
  // more or fewer fields than the header: the next call goes on behind it. DataLoss when the rest
  // of the file cannot be read (a broken or open quotation, no header, a failing disk): what
  // precedes the damage was returned, and every further call says so again.
  absl::StatusOr<std::optional<ReadEvent>> Next();

  uint64_t bytes_read() const { return csv_.bytes_read() + json_bytes_read_; }

 private:
  using Fields = std::vector<std::string>;

  absl::StatusOr<std::optional<Fields>> NextRecord();
  absl::StatusOr<std::optional<Fields>> NextCsvRecord();
  absl::StatusOr<std::optional<Fields>> NextJsonRecord();
  absl::Status ReadHeader();
  absl::Status Behind(std::string_view reason) const;
  absl::StatusOr<v1::Interaction> MakeInteraction(const Fields& fields);
  absl::Status Bad(std::string_view field, std::string_view value, std::string_view remedy) const;

  std::istream& input_;
  const Options options_;
  CsvReader csv_;
  size_t columns_ = 0;          // CSV: of the header; 0 before it was read
  std::vector<int> positions_;  // CSV: column of each field, -1 absent
  uint64_t record_ = 0;
  ContentIds content_ids_;
  uint64_t json_bytes_read_ = 0;
  absl::Status fatal_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_EVENT_READER_H_
