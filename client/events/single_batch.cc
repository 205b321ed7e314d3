#include "client/events/single_batch.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kStopInterval{20};

}  // namespace

absl::StatusOr<v1::IngestResponse> SendSingleBatch(Client& client, const std::string& producer_id,
                                                   const std::vector<v1::Interaction>& interactions,
                                                   const SingleBatchOptions& options) {
  const auto deadline = steady_clock::now() + options.timeout;
  std::optional<v1::IngestResponse> answer;
  const auto stream =
      client.Ingest({.producer_id = producer_id,
                     .on_ack = [&answer](const v1::IngestResponse& ack) { answer = ack; }});
  std::mutex mutex;
  std::condition_variable_any ended;
  std::jthread watcher([&](const std::stop_token& finished) {
    std::unique_lock<std::mutex> lock(mutex);
    while (!finished.stop_requested() && !options.stopped() && steady_clock::now() < deadline) {
      ended.wait_for(lock, finished, kStopInterval, [] { return false; });
    }
    if (!finished.stop_requested()) stream->Cancel();
  });
  stream->Send(interactions, 1).IgnoreError();  // Finish tells why
  const absl::Status finished = stream->Finish();
  watcher.request_stop();
  watcher.join();
  if (finished.ok() && answer.has_value()) return *std::move(answer);
  if (options.stopped()) return absl::CancelledError("stopped");
  if (finished.ok()) {
    return absl::UnavailableError(
        fmt::format("the server did not say where producer \"{}\" stands", producer_id));
  }
  if (absl::IsCancelled(finished) && steady_clock::now() >= deadline) {
    return absl::UnavailableError(
        fmt::format("the server did not say within {} s where producer \"{}\" stands",
                    std::chrono::duration<double>(options.timeout).count(), producer_id));
  }
  return finished;
}

}  // namespace groundswell
