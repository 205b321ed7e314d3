// EventSorter: the events of a log in the order of their times, in bounded memory.
#ifndef GROUNDSWELL_CSV_EVENT_SORTER_H_
#define GROUNDSWELL_CSV_EVENT_SORTER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "csv/log_reader.h"

namespace groundswell {

// Events of one time stay in the order in which they came.
class EventSorter {
 public:
  // Holds events of so many bytes at most.
  explicit EventSorter(size_t bytes_max) : bytes_max_(bytes_max) {}

  // False, and nothing added, when it is full.
  bool Add(const LogEvent& event);
  // After the last Add, before the first Next.
  void Sort();
  // nullopt behind the last.
  std::optional<LogEvent> Next();

  size_t size() const { return places_.size(); }

 private:
  // The texts of events, one behind the other; blocks do not move.
  static constexpr size_t kBlockBytes = size_t{1} << 20;
  struct Place {
    int64_t time_us;
    uint32_t block;
    uint32_t begin;
  };

  const size_t bytes_max_;
  size_t bytes_ = 0;
  std::vector<std::string> blocks_;
  std::vector<Place> places_;
  size_t next_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_EVENT_SORTER_H_
