// What Linux says of this process.
#ifndef GROUNDSWELL_SERVER_PROCESS_PROCESS_FIGURES_H_
#define GROUNDSWELL_SERVER_PROCESS_PROCESS_FIGURES_H_

#include <optional>

namespace groundswell {

struct ProcessFigures {
  double cpu_seconds = 0;         // user and system
  double start_time_seconds = 0;  // since the Unix epoch
  double virtual_memory_bytes = 0;
  double resident_memory_bytes = 0;
  double open_files = 0;  // descriptors
};

// From /proc; nothing where that cannot be read.
std::optional<ProcessFigures> ReadProcessFigures();

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_PROCESS_FIGURES_H_
