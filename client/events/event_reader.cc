#include "client/events/event_reader.h"

#include <fmt/format.h>

#include <utility>

#include "google/protobuf/util/time_util.h"

namespace groundswell {

EventReader::EventReader(std::istream& input, Options options)
    : options_(std::move(options)), log_(input, options_.log), sorter_(options_.sort_bytes_max) {}

absl::StatusOr<std::optional<ReadEvent>> EventReader::Next() {
  if (!fatal_.ok()) return fatal_;
  absl::StatusOr<std::optional<LogEvent>> event = NextOfLog();
  if (!event.ok()) return event.status();
  if (!event->has_value()) return std::optional<ReadEvent>();
  ++events_;
  const uint64_t record = options_.sort_bytes_max > 0 ? events_ : (*event)->record;
  return std::optional<ReadEvent>({record, MakeInteraction(**std::move(event))});
}

absl::StatusOr<std::optional<LogEvent>> EventReader::NextOfLog() {
  return options_.sort_bytes_max > 0 ? NextSorted() : log_.Next();
}

absl::StatusOr<std::optional<LogEvent>> EventReader::NextSorted() {
  while (!is_sorted_) {
    const absl::StatusOr<std::optional<LogEvent>> event = log_.Next();
    if (!event.ok()) return event.status();
    if (!event->has_value()) {
      sorter_.Sort();
      is_sorted_ = true;
    } else if (!sorter_.Add(**event)) {
      return fatal_ = absl::ResourceExhaustedError(fmt::format(
                 "the log has more than the {} events that fit into {} MiB to be sorted by time; "
                 "sort it first, e.g. with sort(1), and read it as it is",
                 sorter_.size(), options_.sort_bytes_max >> 20));
    }
  }
  return sorter_.Next();
}

v1::Interaction EventReader::MakeInteraction(LogEvent event) {
  v1::Interaction interaction;
  interaction.set_user_id(std::move(event.user));
  interaction.set_item_id(std::move(event.item));
  interaction.set_event_type(event.type.empty() ? options_.default_type : std::move(event.type));
  if (event.weight.has_value()) interaction.set_weight(static_cast<int32_t>(*event.weight));
  *interaction.mutable_event_time() =
      google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(event.time_us);
  if (!event.event_id.empty()) {
    interaction.set_event_id(std::move(event.event_id));
  } else if (!options_.id_prefix.empty()) {
    interaction.set_event_id(fmt::format("{}:{}", options_.id_prefix, event.record));
  } else {
    interaction.set_event_id(content_ids_.IdOf(interaction));
  }
  return interaction;
}

}  // namespace groundswell
