// The file of interactions that a command reads, and the flags that say how.
#ifndef GROUNDSWELL_CLIENT_EVENTS_EVENT_FILE_H_
#define GROUNDSWELL_CLIENT_EVENTS_EVENT_FILE_H_

#include <cstdint>
#include <istream>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/events/event_reader.h"
#include "csv/log_input.h"

namespace CLI {
class App;
}  // namespace CLI

namespace groundswell {

struct EventFileFlags {
  std::string file;  // "-": standard input
  std::string format = "auto";
  LogColumns columns;
  std::vector<std::string> header;
  std::string type;  // the column of the types, or the type of records that name none
  double rating_min = std::numeric_limits<double>::lowest();
  std::string id_prefix;
  bool skip_bad_records = false;
  bool sort = false;

  // Adds them all; this must outlive the parsing.
  void AddTo(CLI::App& command);
  // Only the file, and what its columns are.
  void AddColumnsTo(CLI::App& command);
  // Only --skip-bad-records.
  void AddSkipTo(CLI::App& command);
  EventReader::Options ReaderOptions() const;
  bool IsStandardInput() const { return file == "-"; }
};

class EventFile {
 public:
  // NotFound when it cannot be opened. Call once.
  absl::Status Open(const EventFileFlags& flags) { return input_.Open(flags.file); }
  std::istream& stream() { return input_.stream(); }
  // Size of the file; 0 when that is unknown.
  uint64_t bytes() const { return input_.bytes(); }
  // How much of it `reader`, which reads the stream, has read.
  template <typename Reader>  // an EventReader, or a LogReader
  uint64_t BytesRead(const Reader& reader) const {
    return input_.compressed_bytes_read().value_or(reader.bytes_read());
  }
  // `status`, by which a reading ended, or what of the file itself was the cause.
  absl::Status Explain(const absl::Status& status) const {
    const absl::Status damage = input_.damage();
    return absl::IsDataLoss(status) && !damage.ok() ? damage : status;
  }

 private:
  LogInput input_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_EVENT_FILE_H_
