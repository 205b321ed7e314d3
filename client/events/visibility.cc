#include "client/events/visibility.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "client/events/retryable.h"
#include "client/events/single_batch.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFirstQuestionAfter{2};
constexpr milliseconds kQuestionEvery{100};
// A user that no server knows, whose list is that of anybody; a producer that sends nothing.
constexpr char kNobody[] = "groundswell-ingest";

// The admin service may have an address of its own.
bool MayNotCall(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsUnimplemented(status) ||
         absl::IsUnauthenticated(status);
}

// The call waits by itself for a while.
absl::StatusOr<int64_t> AppliedOffsetOfAList(Client& client, const std::string& token) {
  v1::RecommendRequest request;
  request.set_user_id(kNobody);
  request.set_page_size(1);
  request.set_skip_ranking(true);
  request.set_consistency_token(token);
  const absl::StatusOr<v1::RecommendResponse> list = client.Recommend(request);
  if (!list.ok()) return list.status();
  return list->freshness().applied_offset();
}

absl::StatusOr<int64_t> AppliedOffset(Client& client, const std::string& token) {
  const absl::StatusOr<v1::ServerStatus> status = client.GetServerStatus({});
  if (status.ok()) return status->graph().applied_offset();
  return MayNotCall(status.status()) ? AppliedOffsetOfAList(client, token) : status.status();
}

// What `call` answers, called again until then while the server is away.
template <typename Call>
auto Retried(steady_clock::time_point give_up, const std::function<bool()>& stopped, Call call) {
  for (milliseconds pause = kFirstRetryPause;; pause = std::min(2 * pause, kQuestionEvery)) {
    auto answer = call();
    if (answer.ok() || !IsRetryable(answer.status()) || stopped() ||
        steady_clock::now() + pause > give_up) {
      return answer;
    }
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace

absl::Status AwaitVisible(Client& client, const Acknowledged& acknowledged, milliseconds max,
                          const std::function<bool()>& stopped) {
  const auto end = steady_clock::now() + max;
  for (milliseconds pause = kFirstQuestionAfter;; pause = std::min(2 * pause, kQuestionEvery)) {
    const absl::StatusOr<int64_t> applied = AppliedOffset(client, acknowledged.consistency_token);
    if (applied.ok() && *applied >= acknowledged.offset) return absl::OkStatus();
    if (MayNotCall(applied.status())) {
      return absl::PermissionDeniedError("this client may not ask what is visible");
    }
    if (!applied.ok() && !IsRetryable(applied.status())) return applied.status();
    if (stopped()) return absl::CancelledError("stopped");
    if (steady_clock::now() >= end) {
      return absl::DeadlineExceededError(applied.ok()
                                             ? fmt::format("the graph is at offset {}", *applied)
                                             : std::string(applied.status().message()));
    }
    std::this_thread::sleep_for(pause);
  }
}

absl::StatusOr<int64_t> AskLogEnd(Client& client, int64_t expected, milliseconds retry_for,
                                  const std::function<bool()>& stopped) {
  const auto give_up = steady_clock::now() + retry_for;
  const auto ask = [&]() -> absl::StatusOr<int64_t> {
    const absl::StatusOr<v1::ServerStatus> status =
        Retried(give_up, stopped, [&] { return client.GetServerStatus({}); });
    if (status.ok()) return status->graph().log_end_offset();
    if (!MayNotCall(status.status())) return status.status();
    return absl::PermissionDeniedError("this client may not ask where the server's log ends");
  };
  absl::StatusOr<int64_t> end = ask();
  if (!end.ok() || *end >= expected) return end;
  // A producer's question is answered in the order of the log.
  const absl::StatusOr<v1::IngestResponse> taken = Retried(
      give_up, stopped, [&] { return SendSingleBatch(client, kNobody, {}, {.stopped = stopped}); });
  return taken.ok() ? ask() : taken.status();
}

}  // namespace groundswell
