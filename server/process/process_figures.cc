#include "server/process/process_figures.h"

#include <dirent.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace groundswell {
namespace {

size_t CountOpenFiles() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  size_t entries = 0;
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  return entries > 3 ? entries - 3 : 0;  // ".", ".." and the directory itself
}

double BootTimeSeconds() {
  std::ifstream stat("/proc/stat");
  std::string word;
  double seconds = 0;
  while (stat >> word) {
    if (word == "btime" && stat >> seconds) return seconds;
  }
  return 0;
}

}  // namespace

std::optional<ProcessFigures> ReadProcessFigures() {
  std::ifstream file("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t name_end = text.rfind(')');  // the program's name may hold anything
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  const std::vector<std::string> stat{std::istream_iterator<std::string>(fields), {}};
  if (stat.size() < 22) return std::nullopt;
  // proc(5) counts fields from 1, and two stand before these.
  const auto field = [&stat](size_t number) { return std::stod(stat[number - 3]); };
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  return ProcessFigures{.cpu_seconds = (field(14) + field(15)) / ticks,
                        .start_time_seconds = BootTimeSeconds() + field(22) / ticks,
                        .virtual_memory_bytes = field(23),
                        .resident_memory_bytes = field(24) * page,
                        .open_files = static_cast<double>(CountOpenFiles())};
}

}  // namespace groundswell
