#include "server/serving/trained_log.h"

#include <fmt/format.h>

#include <charconv>
#include <string>
#include <system_error>

#include "server/rpc/api_time.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

constexpr std::string_view kTrainedLogSetting = "trained_log";

}  // namespace

// The offset, a blank and the time.
void PutTrainedLog(const TrainedLog& trained, GraphStore::Batch& batch) {
  batch.PutSetting(kTrainedLogSetting, fmt::format("{} {}", trained.offset, trained.until_us));
}

absl::StatusOr<TrainedLog> ReadTrainedLog(const GraphStore& store) {
  const absl::StatusOr<std::string> text = store.ReadSetting(kTrainedLogSetting);
  if (!text.ok()) return text.status();
  TrainedLog trained;
  if (text->empty()) return trained;
  const char* const end = text->data() + text->size();
  const auto [blank, offset_error] = std::from_chars(text->data(), end, trained.offset);
  if (offset_error == std::errc() && blank != end && *blank == ' ') {
    const auto [read_until, error] = std::from_chars(blank + 1, end, trained.until_us);
    if (error == std::errc() && read_until == end) return trained;
  }
  return absl::DataLossError("what the database says of the snapshot's own log is damaged");
}

absl::Status CheckNotTrained(const TrainedLog& trained, Offset graph_offset,
                             const Interaction& interaction) {
  if (interaction.weight == 0 || graph_offset > trained.offset ||
      interaction.event_time_us > trained.until_us) {
    return absl::OkStatus();
  }
  absl::Status status = InvalidField(
      "event_time", TimeText(interaction.event_time_us),
      fmt::format(
          "must be later than {}: the snapshot's graph has the interactions until then, and "
          "they would count twice. If it lacks this one, set ingest.trained_events = "
          "\"count\"",
          TimeText(trained.until_us)));
  return WithReason(std::move(status), "ALREADY_TRAINED");
}

}  // namespace groundswell
