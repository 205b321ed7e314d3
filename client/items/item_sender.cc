#include "client/items/item_sender.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "client/events/retryable.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLook{20};

// How long the server wants a refused item to wait; nullopt: it is refused for good. A catalogue
// that is full names no time.
std::optional<milliseconds> WaitOf(const google::rpc::Status& refusal) {
  return IsForNow(refusal) ? RetryDelayOf(refusal) : std::nullopt;
}

// What another try may get past: the server is away, stops, slow or full.
bool MayPass(const absl::Status& status) {
  return IsRetryable(status) || absl::IsAborted(status) || absl::IsUnknown(status);
}

}  // namespace

ItemSender::ItemSender(Client& client, Options options)
    : client_(client), options_(std::move(options)) {}

absl::Status ItemSender::Send(v1::UpsertItemRequest request) {
  const size_t bytes = request.ByteSizeLong();
  if (batch_.requests_size() > 0 && batch_bytes_ + bytes > options_.batch_bytes_max) {
    if (absl::Status s = Flush(); !s.ok()) return s;
  }
  batch_bytes_ += bytes;
  *batch_.add_requests() = std::move(request);
  if (static_cast<size_t>(batch_.requests_size()) < options_.batch_size) return absl::OkStatus();
  return Flush();
}

absl::Status ItemSender::Flush() {
  auto give_up = steady_clock::now() + options_.retry_for;
  milliseconds pause = kFirstRetryPause;
  while (batch_.requests_size() > 0) {
    if (options_.stopped()) return absl::CancelledError("stopped");
    const auto response = client_.UpsertItems(batch_, options_.batch_timeout, options_.stopped);
    absl::Status why = response.status();
    if (response.ok()) {
      const int before = batch_.requests_size();
      const milliseconds asked = Take(*response);
      if (batch_.requests_size() == 0) break;
      if (batch_.requests_size() < before) give_up = steady_clock::now() + options_.retry_for;
      pause = std::max(pause, std::min(asked, kLongestRetryPause));
      why = absl::ResourceExhaustedError("the server has no room for more items for now");
    } else if (!MayPass(why)) {
      return options_.stopped() ? absl::CancelledError("stopped") : why;
    }
    if (steady_clock::now() + pause > give_up) return why;
    if (!Pause(pause)) return absl::CancelledError("stopped");
    pause = std::min(2 * pause, kLongestRetryPause);
  }
  batch_bytes_ = 0;
  return absl::OkStatus();
}

milliseconds ItemSender::Take(const v1::UpsertItemsResponse& response) {
  totals_.created += static_cast<uint64_t>(response.created_count());
  totals_.replaced += static_cast<uint64_t>(response.replaced_count());
  totals_.duplicates += static_cast<uint64_t>(response.duplicate_count());
  if (response.last_offset() > totals_.last_offset) {
    totals_.last_offset = response.last_offset();
    totals_.consistency_token = response.consistency_token();
  }
  milliseconds asked{0};
  v1::UpsertItemsRequest again;
  for (const v1::UpsertItemsResponse::Refusal& refusal : response.refusals()) {
    const std::optional<milliseconds> wait = WaitOf(refusal.status());
    if (!wait.has_value()) {
      ++totals_.refused;
      totals_.reasons.Add(refusal.status().message());
    } else if (refusal.index() >= 0 && refusal.index() < batch_.requests_size()) {
      asked = std::max(asked, *wait);
      *again.add_requests() = batch_.requests(refusal.index());
    }
  }
  batch_ = std::move(again);
  return asked;
}

bool ItemSender::Pause(milliseconds pause) const {
  for (const auto end = steady_clock::now() + pause; steady_clock::now() < end;) {
    if (options_.stopped()) return false;
    std::this_thread::sleep_for(std::min<steady_clock::duration>(kLook, end - steady_clock::now()));
  }
  return !options_.stopped();
}

}  // namespace groundswell
