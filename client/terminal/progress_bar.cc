#include "client/terminal/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "program/standard_error.h"

namespace groundswell {
namespace {

constexpr size_t kWidth = 30;
constexpr std::chrono::milliseconds kTerminalInterval{100};
constexpr std::chrono::milliseconds kLineInterval{5'000};

}  // namespace

ProgressBar::ProgressBar(std::string label, uint64_t total)
    : label_(std::move(label)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) != 0),
      next_(std::chrono::steady_clock::now() + kTerminalInterval) {}

void ProgressBar::Update(uint64_t done, const std::string& note) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? kTerminalInterval : kLineInterval);
  Show(done, note);
}

void ProgressBar::Finish(uint64_t done, const std::string& note) {
  Show(done, note);
  if (terminal_) PrintToStandardError("\n");
}

void ProgressBar::Show(uint64_t done, const std::string& note) {
  std::string bar;
  if (total_ > 0) {
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
    const auto filled = static_cast<size_t>(share * kWidth);
    bar = fmt::format(" [{}{}] {:3.0f}%", std::string(filled, '#'),
                      std::string(kWidth - filled, '.'), share * 100);
  }
  PrintToStandardError("{}{}{} {}{}", terminal_ ? "\r\x1b[K" : "", label_, bar, note,
                       terminal_ ? "" : "\n");
}

}  // namespace groundswell
