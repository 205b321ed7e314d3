#include "server/offline/event_csv.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <utility>

#include "absl/time/clock.h"
#include "csv/log_input.h"
#include "csv/log_reader.h"
#include "graph/ids.h"
#include "graph/log/interaction.h"
#include "server/config/config.h"
#include "server/rpc/api_time.h"
#include "server/rpc/field_checks.h"

namespace groundswell {
namespace {

static_assert(kLogWeightMax == kWeightMax);

absl::Status At(const std::string& path, const absl::Status& status) {
  return absl::Status(absl::StatusCode::kInvalidArgument,
                      fmt::format("{}: {}", path, std::string(status.message())));
}

absl::Status BadRecord(const LogEvent& event, std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("record {}: {}", event.record, what));
}

absl::Status CheckServable(const LogEvent& event, int64_t latest_us) {
  for (const auto& [field, id] : {std::pair("user", &event.user), std::pair("item", &event.item)}) {
    if (absl::Status s = CheckId(field, *id); !s.ok())
      return BadRecord(event, std::string(s.message()));
  }
  if (event.time_us <= latest_us) return absl::OkStatus();
  return BadRecord(event,
                   fmt::format("timestamp {} is later than {}, by this machine's clock with "
                               "{} s to spare; is its unit what it seems, and is it UTC?",
                               TimeText(event.time_us), TimeText(latest_us), kEventAheadMaxS));
}

absl::StatusOr<Count> WeightOf(const LogEvent& event, const EventWeights& weights) {
  if (event.weight.has_value()) return *event.weight;
  const std::string& type = event.type.empty() ? weights.default_type : event.type;
  const auto found = weights.of_type.find(type);
  if (found != weights.of_type.end()) return found->second;
  std::string known;
  for (const auto& [name, weight] : weights.of_type) known += (known.empty() ? "" : ", ") + name;
  return BadRecord(
      event, fmt::format("type \"{}\" must be one of the configured types, {}; give those of your "
                         "server (--event_types)",
                         type, known));
}

}  // namespace

absl::Status ReadEventCsv(const std::string& path, const EventWeights& weights,
                          const std::function<absl::Status(const PastEvent&)>& on_event) {
  LogInput input;
  if (absl::Status s = input.Open(path); !s.ok()) return s;
  LogReader reader(input.stream(), {});
  // As the server checks them that allows the most (ingest.event_ahead_max_s).
  const int64_t latest_us =
      absl::GetCurrentTimeNanos() / 1'000 + kEventAheadMaxS * kMicrosPerSecond;
  int64_t newest_us = 0;
  while (true) {
    const absl::StatusOr<std::optional<LogEvent>> read = reader.Next();
    if (!read.ok()) return At(path, input.damage().ok() ? read.status() : input.damage());
    if (!read->has_value()) return absl::OkStatus();
    const LogEvent& event = **read;
    if (absl::Status s = CheckServable(event, latest_us); !s.ok()) return At(path, s);
    if (event.time_us < newest_us) {
      return At(path, BadRecord(event, "events must be in time order; sort the file by time"));
    }
    newest_us = event.time_us;
    const absl::StatusOr<Count> weight = WeightOf(event, weights);
    if (!weight.ok()) return At(path, weight.status());
    const PastEvent past{.time_s = event.time_us / kMicrosPerSecond,
                         .user_id = event.user,
                         .item_id = event.item,
                         .weight = *weight};
    if (absl::Status s = on_event(past); !s.ok()) return s;
  }
}

}  // namespace groundswell
