// Progress of a long command, on stderr: a bar on a terminal, else a line every few seconds.
#ifndef GROUNDSWELL_CLIENT_TERMINAL_PROGRESS_BAR_H_
#define GROUNDSWELL_CLIENT_TERMINAL_PROGRESS_BAR_H_

#include <chrono>
#include <cstdint>
#include <string>

namespace groundswell {

class ProgressBar {
 public:
  // `total` 0: unknown.
  ProgressBar(std::string label, uint64_t total);

  // Shows `done` of the total, with `note` behind it, if it is time to.
  void Update(uint64_t done, const std::string& note);
  // Shows the last state and ends the line.
  void Finish(uint64_t done, const std::string& note);

 private:
  void Show(uint64_t done, const std::string& note);

  const std::string label_;
  const uint64_t total_;
  const bool terminal_;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_TERMINAL_PROGRESS_BAR_H_
