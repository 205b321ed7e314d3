#include "csv/event_sorter.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace groundswell {
namespace {

template <typename Number>
void Put(Number number, std::string& out) {
  char bytes[sizeof(number)];
  std::memcpy(bytes, &number, sizeof(number));
  out.append(bytes, sizeof(number));
}

template <typename Number>
Number Take(std::string_view& bytes) {
  Number number;
  std::memcpy(&number, bytes.data(), sizeof(number));
  bytes.remove_prefix(sizeof(number));
  return number;
}

void PutText(std::string_view text, std::string& out) {
  Put(static_cast<uint32_t>(text.size()), out);
  out += text;
}

std::string TakeText(std::string_view& bytes) {
  const auto size = Take<uint32_t>(bytes);
  std::string text(bytes.substr(0, size));
  bytes.remove_prefix(size);
  return text;
}

}  // namespace

bool EventSorter::Add(const LogEvent& event) {
  std::string bytes;
  Put(event.record, bytes);
  Put(event.weight.value_or(0), bytes);
  for (const std::string* text : {&event.user, &event.item, &event.type, &event.event_id}) {
    PutText(*text, bytes);
  }
  if (bytes_ + bytes.size() + sizeof(Place) > bytes_max_) return false;
  bytes_ += bytes.size() + sizeof(Place);
  if (blocks_.empty() || blocks_.back().size() + bytes.size() > kBlockBytes) {
    blocks_.emplace_back();
    blocks_.back().reserve(std::max(kBlockBytes, bytes.size()));
  }
  places_.push_back({.time_us = event.time_us,
                     .block = static_cast<uint32_t>(blocks_.size() - 1),
                     .begin = static_cast<uint32_t>(blocks_.back().size())});
  blocks_.back() += bytes;
  return true;
}

void EventSorter::Sort() {
  std::ranges::stable_sort(places_, {}, &Place::time_us);
  next_ = 0;
}

std::optional<LogEvent> EventSorter::Next() {
  if (next_ == places_.size()) return std::nullopt;
  const Place& place = places_[next_++];
  std::string_view bytes = std::string_view(blocks_[place.block]).substr(place.begin);
  LogEvent event;
  event.time_us = place.time_us;
  event.record = Take<uint64_t>(bytes);
  if (const auto weight = Take<int64_t>(bytes); weight != 0) event.weight = weight;
  event.user = TakeText(bytes);
  event.item = TakeText(bytes);
  event.type = TakeText(bytes);
  event.event_id = TakeText(bytes);
  return event;
}

}  // namespace groundswell
