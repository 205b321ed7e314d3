#include "client/events/server_catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "client/events/retryable.h"
#include "client/events/visibility.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFirstRetryAfter{50};
constexpr milliseconds kRetryEvery{1'000};

}  // namespace

template <typename Call>
auto ServerCatalogue::Retried(const Call& call) {
  const auto give_up = steady_clock::now() + options_.retry_for;
  for (milliseconds pause = kFirstRetryAfter;; pause = std::min(2 * pause, kRetryEvery)) {
    auto answer = call();
    const bool is_final = !IsRetryable(answer.status()) || options_.stopped();
    if (is_final || steady_clock::now() + pause > give_up) return answer;
    std::this_thread::sleep_for(pause);
  }
}

// SimilarItems is the read that tells: NOT_FOUND for an item that is not in the catalogue.
absl::StatusOr<bool> ServerCatalogue::Has(const std::string& item_id) {
  if (known_.contains(item_id)) return true;
  if (unknown_.contains(item_id)) return false;
  v1::SimilarItemsRequest request;
  request.set_item_id(item_id);
  request.set_page_size(1);
  const absl::Status status = Retried([&] { return client_.SimilarItems(request); }).status();
  // FailedPrecondition: it came behind the snapshot and has no vector.
  const bool has = status.ok() || absl::IsFailedPrecondition(status);
  if (!has && !absl::IsNotFound(status)) return status;
  (has ? known_ : unknown_).insert(item_id);
  return has;
}

absl::Status ServerCatalogue::Create(const std::string& item_id) {
  v1::UpsertItemRequest request;
  request.set_item_id(item_id);
  const absl::StatusOr<v1::UpsertItemResponse> created =
      Retried([&] { return client_.UpsertItem(request); });
  if (!created.ok()) return created.status();
  const absl::Status applied = AwaitVisible(
      client_, {.offset = created->offset(), .consistency_token = created->consistency_token()},
      options_.retry_for, options_.stopped);
  if (!applied.ok()) {
    return {applied.code(),
            fmt::format("item \"{}\" was created and is not known to be applied: {}", item_id,
                        std::string(applied.message()))};
  }
  unknown_.erase(item_id);
  known_.insert(item_id);
  return absl::OkStatus();
}

absl::StatusOr<bool> ServerCatalogue::CreateIfNew(const std::string& item_id) {
  const absl::StatusOr<bool> has = Has(item_id);
  if (!has.ok() || *has) return has.ok() ? absl::StatusOr<bool>(false) : has;
  if (absl::Status s = Create(item_id); !s.ok()) return s;
  return true;
}

}  // namespace groundswell
