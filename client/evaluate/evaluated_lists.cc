#include "client/evaluate/evaluated_lists.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <future>
#include <optional>
#include <thread>
#include <utility>

#include "client/source_names.h"

namespace groundswell {
namespace {

using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr char kBlend[] = "blend";
constexpr std::string_view kRanked = "-ranked";
constexpr int kPageSize = static_cast<int>(ListMetrics::kRankMax);
// How often a call is repeated for the sake of answers that are stale or degraded.
constexpr int kRepeatsMax = 8;
constexpr milliseconds kFirstPause{1};
constexpr milliseconds kLongestPause{1'000};

bool IsForNow(absl::StatusCode code) {
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kResourceExhausted ||
         code == absl::StatusCode::kDeadlineExceeded || code == absl::StatusCode::kCancelled;
}

// Whether another try may give a better answer.
bool IsIncomplete(const v1::BatchRecommendResponse& response) {
  return std::ranges::any_of(response.entries(), [](const auto& entry) {
    return IsForNow(static_cast<absl::StatusCode>(entry.status().code())) ||
           entry.response().degradations_size() > 0;
  });
}

// The place of the item, from 1; 0 when it is not there.
size_t RankOf(const std::string& item_id, const v1::RecommendResponse& response) {
  for (int at = 0; at < response.items_size(); ++at) {
    if (response.items(at).item_id() == item_id) return static_cast<size_t>(at) + 1;
  }
  return 0;
}

// The total of an entry of a batch counts from the arrival of the batch, so the stages are added
// up.
std::chrono::nanoseconds WorkOf(const v1::StageTimings& timings) {
  // Not as durations: protobuf's sum ends the process where a server's are beyond its range.
  return std::chrono::nanoseconds(TimeUtil::DurationToNanoseconds(timings.user_state())) +
         std::chrono::nanoseconds(TimeUtil::DurationToNanoseconds(timings.retrieval())) +
         std::chrono::nanoseconds(TimeUtil::DurationToNanoseconds(timings.rank()));
}

}  // namespace

absl::StatusOr<EvaluatedList> ParseEvaluatedList(std::string_view name) {
  EvaluatedList list{.name = std::string(name), .request = {}};
  std::string_view sources = name;
  list.request.set_skip_ranking(true);
  if (const size_t at = name.find(kRanked); at != std::string_view::npos) {
    const std::string_view ranker = name.substr(at + kRanked.size());
    if (!ranker.empty() && (ranker.front() != ':' || ranker.size() == 1)) {
      return absl::InvalidArgumentError(fmt::format(
          "list \"{}\": behind -ranked there may be :MODEL, a model of the snapshot", name));
    }
    if (!ranker.empty()) list.request.set_ranker(std::string(ranker.substr(1)));
    list.request.set_skip_ranking(false);
    sources = name.substr(0, at);
  }
  if (sources == kBlend) return list;
  for (size_t begin = 0; begin <= sources.size();) {
    const size_t end = std::min(sources.find('+', begin), sources.size());
    const std::string_view part = sources.substr(begin, end - begin);
    const std::optional<v1::CandidateSource> source = SourceOfName(part);
    if (!source.has_value()) {
      return absl::InvalidArgumentError(fmt::format(
          "list \"{}\": \"{}\" is no source; it must be blend, or of {}, joined by +, and may end "
          "in -ranked",
          name, part, SourceNames()));
    }
    list.request.add_only_sources(*source);
    begin = end + 1;
  }
  return list;
}

EvaluatedLists::EvaluatedLists(Client& client, std::vector<EvaluatedList> lists, Options options)
    : client_(client), lists_(std::move(lists)), options_(std::move(options)) {
  for (const EvaluatedList& list : lists_) reports_.emplace_back().name = list.name;
}

absl::Status EvaluatedLists::Ask(std::span<const AskedEvent> events,
                                 const std::string& consistency_token) {
  const size_t count = events.size() * lists_.size();
  std::vector<v1::BatchRecommendRequest> slices(std::min(options_.parallel, count));
  size_t at = 0;
  for (const AskedEvent& event : events) {
    for (const EvaluatedList& list : lists_) {
      v1::RecommendRequest& one = *slices[at++ * slices.size() / count].add_requests();
      one = list.request;
      one.set_user_id(event.user_id);
      one.set_page_size(kPageSize);
      one.set_consistency_token(consistency_token);
      one.mutable_filter()->set_include_seen(options_.include_seen);
    }
  }
  const absl::StatusOr<std::vector<v1::BatchRecommendResponse::Entry>> entries = CallAll(slices);
  if (!entries.ok()) return entries.status();
  if (absl::Status s = CheckEntries(*entries); !s.ok()) return s;
  for (size_t i = 0; i < entries->size(); ++i) {
    Count(events[i / lists_.size()], (*entries)[i], i % lists_.size());
  }
  return absl::OkStatus();
}

// The entries of all slices, in their order.
absl::StatusOr<std::vector<v1::BatchRecommendResponse::Entry>> EvaluatedLists::CallAll(
    std::span<const v1::BatchRecommendRequest> slices) {
  std::vector<std::future<CallResult>> others;
  for (const v1::BatchRecommendRequest& slice : slices.subspan(1)) {
    others.push_back(std::async(std::launch::async, [this, &slice] { return Call(slice); }));
  }
  std::vector<CallResult> results;
  results.push_back(Call(slices.front()));
  for (std::future<CallResult>& other : others) results.push_back(other.get());
  std::vector<v1::BatchRecommendResponse::Entry> entries;
  for (CallResult& result : results) {
    asked_again_ += result.repeats;
    if (!result.response.ok()) return result.response.status();
    for (auto& entry : *result.response->mutable_entries()) entries.push_back(std::move(entry));
  }
  return entries;
}

// Until the answers are whole, or repeating them was in vain. From any thread.
EvaluatedLists::CallResult EvaluatedLists::Call(const v1::BatchRecommendRequest& request) const {
  const auto give_up = steady_clock::now() + options_.retry_for;
  milliseconds pause = kFirstPause;
  int in_vain = 0;
  for (CallResult result{.response = absl::CancelledError("stopped")};; ++result.repeats) {
    if (options_.stopped()) return {absl::CancelledError("stopped"), result.repeats};
    result.response = client_.BatchRecommend(request);
    if (!result.response.ok()) {
      const bool is_for_now = IsForNow(result.response.status().code());
      if (!is_for_now || steady_clock::now() > give_up) return result;
    } else if (result.response->entries_size() != request.requests_size()) {
      result.response = absl::InternalError("the server answered with another number of lists");
      return result;
    } else if (!IsIncomplete(*result.response) || in_vain++ == kRepeatsMax) {
      return result;
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

// An error of an entry that would come again for every event.
absl::Status EvaluatedLists::CheckEntries(
    std::span<const v1::BatchRecommendResponse::Entry> entries) const {
  for (size_t at = 0; at < entries.size(); ++at) {
    const google::rpc::Status& status = entries[at].status();
    const auto code = static_cast<absl::StatusCode>(status.code());
    if (code != absl::StatusCode::kInvalidArgument && code != absl::StatusCode::kNotFound) continue;
    return absl::Status(
        code, fmt::format("list \"{}\": {}", lists_[at % lists_.size()].name, status.message()));
  }
  return absl::OkStatus();
}

void EvaluatedLists::Count(const AskedEvent& event, const v1::BatchRecommendResponse::Entry& entry,
                           size_t list) {
  EvaluatedListReport& report = reports_[list];
  const auto next_number = static_cast<uint32_t>(user_numbers_.size());
  const uint32_t user = user_numbers_.try_emplace(event.user_id, next_number).first->second;
  const v1::RecommendResponse& response = entry.response();
  const size_t rank = RankOf(event.item_id, response);
  report.metrics.Add(user, rank);
  report.new_items += event.is_new_item ? 1 : 0;
  for (size_t at = 0; at < ListMetrics::kCutoffs.size(); ++at) {
    const bool is_hit = rank > 0 && rank <= ListMetrics::kCutoffs[at];
    report.new_item_hits[at] += event.is_new_item && is_hit ? 1 : 0;
  }
  report.empty += response.items().empty() ? 1 : 0;
  if (entry.status().code() != 0) {
    ++report.failed;
    return;
  }
  const auto stale = std::ranges::count(response.degradations(), v1::DEGRADATION_STALE_STATE);
  report.stale += stale > 0 ? 1 : 0;
  report.degraded += response.degradations_size() > stale ? 1 : 0;
  report.unknown_user += response.fallback_reason() == v1::FALLBACK_REASON_UNKNOWN_USER ? 1 : 0;
  const bool wants_ranking = !lists_[list].request.skip_ranking();
  report.not_ranked += wants_ranking && response.ranker().empty() ? 1 : 0;
  report.server_time.Add(WorkOf(response.timings()));
  snapshot_version_ = response.snapshot_version();
}

}  // namespace groundswell
