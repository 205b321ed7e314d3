// The file of interactions that a command reads, and the flags that say how.
#ifndef GROUNDSWELL_CLIENT_EVENTS_EVENT_FILE_H_
#define GROUNDSWELL_CLIENT_EVENTS_EVENT_FILE_H_

#include <cstdint>
#include <fstream>
#include <istream>
#include <string>

#include "absl/status/status.h"
#include "client/events/event_reader.h"

namespace CLI {
class App;
}  // namespace CLI

namespace groundswell {

struct EventFileFlags {
  std::string file;  // "-": standard input
  std::string format = "auto";
  EventColumns columns;
  std::string default_type = "purchase";
  std::string id_prefix;
  bool skip_bad_records = false;

  // Adds them all; this must outlive the parsing.
  void AddTo(CLI::App& command);
  EventReader::Options ReaderOptions() const;
  bool IsStandardInput() const { return file == "-"; }
};

class EventFile {
 public:
  // NotFound when it cannot be opened. Call once.
  absl::Status Open(const EventFileFlags& flags);
  std::istream& stream();
  // Size of the file; 0 when that is unknown.
  uint64_t bytes() const { return bytes_; }

 private:
  bool is_standard_input_ = false;
  std::ifstream file_;
  uint64_t bytes_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_EVENT_FILE_H_
