// What is said below the lists that commands print: of what they are made, and how long it took.
#ifndef GROUNDSWELL_CLIENT_COMMANDS_ANSWER_FOOTER_H_
#define GROUNDSWELL_CLIENT_COMMANDS_ANSWER_FOOTER_H_

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include "groundswell/v1/recommend.pb.h"
#include "program/terminal_text.h"

namespace groundswell {

inline double MillisecondsOf(const google::protobuf::Duration& duration) {
  return static_cast<double>(google::protobuf::util::TimeUtil::DurationToNanoseconds(duration)) /
         1e6;
}

// Response: RecommendResponse, RankResponse or TraceRecommendResponse.
template <typename Response>
void PrintFooter(const Response& response) {
  fmt::print("\n{}, ranker {}, graph up to offset {}\n", TerminalText(response.snapshot_version()),
             response.ranker().empty() ? "none" : TerminalText(response.ranker()),
             response.freshness().applied_offset());
  const v1::StageTimings& timings = response.timings();
  fmt::print("{:.2f} ms: queue {:.2f}, user state {:.2f}, retrieval {:.2f}, rank {:.2f}",
             MillisecondsOf(timings.total()), MillisecondsOf(timings.queue()),
             MillisecondsOf(timings.user_state()), MillisecondsOf(timings.retrieval()),
             MillisecondsOf(timings.rank()));
  const double explain = MillisecondsOf(timings.explain());
  const double arrange = MillisecondsOf(timings.arrange());
  fmt::print("{}{}\n", arrange > 0 ? fmt::format(", arrange {:.2f}", arrange) : "",
             explain > 0 ? fmt::format(", explain {:.2f}", explain) : "");
  for (const int step : response.degradations()) {
    fmt::print("degraded: {}\n", v1::Degradation_Name(step));
  }
}

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_COMMANDS_ANSWER_FOOTER_H_
