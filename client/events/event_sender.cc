#include "client/events/event_sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "client/events/retryable.h"
#include "client/events/single_batch.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kWatchInterval{50};
// How long outstanding acknowledgements are waited for once stopped.
constexpr milliseconds kGrace{1'000};

// Worth another stream: the server is away, full, or lacks what an earlier stream left open.
bool IsWorthARetry(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsAborted(status) || absl::IsCancelled(status) || absl::IsUnknown(status) ||
         status.message().find("SEQUENCE_GAP") != absl::string_view::npos;
}

// Of the batch of these records; 0: none was refused.
uint64_t FirstRefused(const v1::IngestResponse& response, const std::vector<uint64_t>& records) {
  uint64_t first = 0;
  for (const auto& refusal : response.refusals()) {
    // An index that is none is a faulty server's: then it may be any of them.
    const auto at = static_cast<size_t>(refusal.index());
    const uint64_t record = records[at < records.size() ? at : 0];
    first = first == 0 ? record : std::min(first, record);
  }
  return first;
}

}  // namespace

EventSender::EventSender(Client& client, Options options, uint64_t first_record)
    : client_(client), options_(std::move(options)), last_ack_(steady_clock::now()) {
  totals_.acknowledged_record = first_record;
  OpenStream();
  watcher_ = std::thread([this] { Watch(); });
}

EventSender::~EventSender() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    finished_ = true;
  }
  changed_.notify_all();
  watcher_.join();
  stream_.reset();
}

EventSender::Totals EventSender::totals() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return totals_;
}

void EventSender::OpenStream() {
  auto stream = client_.Ingest({.producer_id = options_.producer_id,
                                .inflight_max = options_.inflight_max,
                                .on_ack = [this](const v1::IngestResponse& ack) { OnAck(ack); }});
  const std::lock_guard<std::mutex> lock(mutex_);
  stream_ = std::move(stream);
  transmitted_ = 0;
  acknowledged_ = 0;
  no_room_ = false;
  asked_pause_ = milliseconds{0};
}

absl::StatusOr<v1::IngestResponse> EventSender::AskProducer() {
  absl::StatusOr<v1::IngestResponse> answer =
      SendSingleBatch(client_, options_.producer_id, {}, {.stopped = options_.stopped});
  if (answer.ok()) next_sequence_ = answer->last_sequence() + 1;
  return answer;
}

// The answer to the oldest batch that this stream sent.
void EventSender::OnAck(const v1::IngestResponse& response) {
  Batch settled;
  uint64_t first_refused = 0;
  uint64_t refused = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++acknowledged_;
    const bool is_late = no_room_;  // behind one that has to be sent again; it comes again, too
    for (const auto& refusal : response.refusals()) {
      if (!IsForNow(refusal.status())) continue;
      no_room_ = true;
      asked_pause_ =
          std::max(asked_pause_, RetryDelayOf(refusal.status()).value_or(milliseconds(0)));
    }
    // Numbers that the server did not use up: it did not take the batch, whatever it says of it.
    if (!no_room_ && !window_.empty() && !options_.producer_id.empty() &&
        response.last_sequence() < window_.front().last_sequence()) {
      no_room_ = true;
    }
    if (no_room_ || is_late || window_.empty()) return;
    totals_.accepted += static_cast<uint64_t>(response.accepted_count());
    totals_.duplicates += static_cast<uint64_t>(response.duplicate_count());
    totals_.refused += static_cast<uint64_t>(response.refusals_size());
    refused = totals_.refused;
    for (const auto& refusal : response.refusals()) {
      totals_.reasons.Add(refusal.status().message());
    }
    if (response.last_offset() > totals_.last_offset) {
      totals_.last_offset = response.last_offset();
      totals_.consistency_token = response.consistency_token();
    }
    settled = std::move(window_.front());
    totals_.acknowledged_record = settled.records.back();
    if (totals_.first_refused_record == 0) {
      first_refused = FirstRefused(response, settled.records);
      totals_.first_refused_record = first_refused;
    }
    window_.pop_front();
    --transmitted_;
    last_ack_ = steady_clock::now();
  }
  if (options_.on_settled) {
    options_.on_settled(settled.first_sequence, settled.interactions.size(), response);
  }
  changed_.notify_all();
  if (first_refused > 0 && options_.on_first_refused) options_.on_first_refused(first_refused);
  if (options_.on_progress) options_.on_progress(settled.records.back(), refused);
}

absl::Status EventSender::Send(uint64_t record, v1::Interaction interaction, std::string mark) {
  const size_t bytes = interaction.ByteSizeLong();
  if (!batch_.interactions.empty() && batch_.bytes + bytes > options_.batch_bytes_max) {
    if (absl::Status s = SendBatch(); !s.ok()) return s;
  }
  if (batch_.interactions.empty()) batch_.first_sequence = next_sequence_;
  ++next_sequence_;
  batch_.interactions.push_back(std::move(interaction));
  batch_.records.push_back(record);
  batch_.mark = std::move(mark);
  batch_.bytes += bytes;
  if (batch_.interactions.size() < options_.batch_size) return absl::OkStatus();
  return SendBatch();
}

absl::Status EventSender::SendBatch() {
  if (!batch_.interactions.empty()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    // Until now there was nothing to acknowledge.
    if (window_.empty()) last_ack_ = steady_clock::now();
    window_.push_back(std::exchange(batch_, Batch{}));
  }
  return Transmit();
}

// Sends what this stream has not sent yet; begins another stream as long as that may help.
absl::Status EventSender::Transmit() {
  while (failure_.ok()) {
    if (options_.stopped()) return absl::CancelledError("stopped");
    absl::Status ended;
    Batch next;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (no_room_) {
        ended = absl::ResourceExhaustedError(
            "the server has no room for more interactions, or did not take them for now");
      } else if (transmitted_ == window_.size()) {
        return absl::OkStatus();
      } else {
        next = window_[transmitted_];
        ++transmitted_;
      }
    }
    if (ended.ok() && !stream_->Send(next.interactions, next.first_sequence, next.mark).ok()) {
      ended = absl::AbortedError("the stream has ended");
    }
    if (ended.ok()) {
      pause_ = milliseconds{0};
      continue;
    }
    failure_ = WaitToRetry(ended);
  }
  return failure_;
}

absl::Status EventSender::CloseStream() {
  stream_->Cancel();
  return stream_->Finish();
}

absl::Status EventSender::WaitToRetry(const absl::Status& why) {
  milliseconds asked{0};
  bool no_room = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    no_room = no_room_;
    asked = asked_pause_;
  }
  // The stream's own end says more than that it has one.
  const absl::Status finished = no_room ? CloseStream() : stream_->Finish();
  absl::Status reason = no_room || finished.ok() ? why : finished;
  if (options_.stopped()) return absl::CancelledError("stopped");
  if (!IsWorthARetry(reason)) return reason;
  pause_ = std::min(std::max({pause_ * 2, kFirstRetryPause, asked}), kLongestRetryPause);
  {
    std::unique_lock<std::mutex> lock(mutex_);
    if (steady_clock::now() - last_ack_ > options_.retry_for) return reason;
    changed_.wait_for(lock, pause_, [this] { return options_.stopped(); });
  }
  OpenStream();
  return absl::OkStatus();
}

absl::Status EventSender::SendGathered() {
  if (absl::Status s = SendBatch(); !s.ok()) return s;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (window_.empty() || !stream_->ended()) return absl::OkStatus();
  }
  failure_ = WaitToRetry(absl::AbortedError("the stream has ended"));
  return Transmit();
}

absl::Status EventSender::Flush() {
  absl::Status status = SendBatch();
  while (status.ok()) {
    bool is_broken = false;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait_for(lock, kWatchInterval, [this] { return window_.empty() || no_room_; });
      if (window_.empty()) return absl::OkStatus();
      is_broken = no_room_;
    }
    if (options_.stopped()) return absl::CancelledError("stopped");
    if (is_broken) {
      status = Transmit();
    } else if (stream_->ended()) {
      failure_ = WaitToRetry(absl::AbortedError("the stream has ended"));
      status = Transmit();
    }
  }
  return status;
}

absl::Status EventSender::Finish() {
  absl::Status status = Flush();
  if (status.ok()) return stream_->Finish();
  // Stopped: the watcher ends the stream if acknowledgements do not come.
  if (options_.stopped() && !stream_->finished()) {
    stream_->Finish().IgnoreError();
    return absl::CancelledError("stopped");
  }
  return status;
}

// Ends a stream that hangs once the sender was stopped.
void EventSender::Watch() {
  std::unique_lock<std::mutex> lock(mutex_);
  std::optional<steady_clock::time_point> stopped_at;
  while (!finished_) {
    changed_.wait_for(lock, kWatchInterval);
    if (!options_.stopped()) continue;
    if (!stopped_at.has_value()) stopped_at = steady_clock::now();
    if (steady_clock::now() - *stopped_at > kGrace && stream_ != nullptr) stream_->Cancel();
  }
}

}  // namespace groundswell
