// slow-calls: the calls that took longest of late, and where their time went.
#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "client/commands/admin_call.h"
#include "client/commands/answer_footer.h"
#include "client/commands/commands.h"
#include "client/terminal/table.h"

namespace groundswell {
namespace {

void PrintSlowCalls(const v1::ListSlowCallsResponse& slow) {
  using google::protobuf::util::TimeUtil;
  const double threshold_ms = MillisecondsOf(slow.threshold());
  if (threshold_ms == 0) {
    fmt::print("no call counts as slow: set logging.slow_call_ms\n");
    return;
  }
  Table table({{.title = "ended"},
               {.title = "method"},
               {.title = "code"},
               {.title = "ms", .right = true},
               {.title = "queue", .right = true},
               {.title = "user", .right = true},
               {.title = "retrieval", .right = true},
               {.title = "rank", .right = true},
               {.title = "explain", .right = true},
               {.title = "arrange", .right = true},
               {.title = "request id"},
               {.title = "trace id"}});
  for (const v1::SlowCall& call : slow.calls()) {
    const auto ms = [](const google::protobuf::Duration& duration) {
      return fmt::format("{:.2f}", MillisecondsOf(duration));
    };
    const v1::StageTimings& timings = call.timings();
    table.AddRow({TimeUtil::ToString(call.end_time()), call.method(), call.code(),
                  ms(timings.total()), ms(timings.queue()), ms(timings.user_state()),
                  ms(timings.retrieval()), ms(timings.rank()), ms(timings.explain()),
                  ms(timings.arrange()), call.request_id(), call.trace_id()});
  }
  fmt::print("{}{} of {} calls that took {:g} ms and longer\n", table.ToString(), slow.calls_size(),
             slow.total_count(), threshold_ms);
}

}  // namespace

void AddSlowCallsCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "slow-calls", "The newest calls that took long (logging.slow_call_ms), by stage");
  auto limit = std::make_shared<int32_t>(20);
  command.add_option("-n,--limit", *limit, "Calls, at most 200")->capture_default_str();
  command.footer("Example:\n  groundswell slow-calls -n 5");
  command.callback([=, &context] {
    v1::ListSlowCallsRequest request;
    request.set_limit(*limit);
    CallAdmin(context, "slow-calls", request, &v1::AdminService::Stub::ListSlowCalls,
              PrintSlowCalls);
  });
}

}  // namespace groundswell
