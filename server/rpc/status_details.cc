#include "server/rpc/status_details.h"

#include <fmt/format.h>

#include <cstdint>
#include <utility>

#include "absl/strings/cord.h"
#include "csv/utf8.h"
#include "google/protobuf/any.pb.h"
#include "google/rpc/error_details.pb.h"

namespace groundswell {
namespace {

constexpr std::chrono::milliseconds kRetryAfterFullLog{50};
constexpr std::chrono::milliseconds kRetryAfterStaleState{50};
constexpr size_t kQuotedBytesMax = 64;
// gRPC carries message and details in headers, which peers limit to 8 KiB.
constexpr size_t kMessageBytesMax = 1'024;
constexpr std::string_view kCut = "…";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// The kinds of details, in the order in which they leave. At most one of each.
using google::rpc::BadRequest;
using google::rpc::ErrorInfo;
using google::rpc::PreconditionFailure;
using google::rpc::ResourceInfo;
using google::rpc::RetryInfo;

template <typename Detail>
std::string TypeUrl() {
  return "type.googleapis.com/" + Detail::descriptor()->full_name();
}

template <typename Detail>
void Attach(absl::Status& status, const Detail& detail) {
  status.SetPayload(TypeUrl<Detail>(), absl::Cord(detail.SerializeAsString()));
}

// `text` as valid UTF-8 without control characters, at most `bytes_max` bytes and then a mark.
std::string Clean(std::string_view text, size_t bytes_max) {
  std::string clean;
  while (!text.empty()) {
    const size_t length = FirstCharacter(text);
    const bool control = length == 1 && (static_cast<uint8_t>(text[0]) < 0x20 || text[0] == 0x7F);
    const std::string_view next = length == 0 || control ? kReplacement : text.substr(0, length);
    if (clean.size() + next.size() > bytes_max) return clean.append(kCut);
    clean.append(next);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return clean;
}

// Upper snake case of the code, as ErrorInfo.reason wants it.
std::string CodeName(const absl::Status& status) { return absl::StatusCodeToString(status.code()); }

template <typename Detail>
void Copy(const absl::Status& from, google::rpc::Status& to) {
  const auto payload = from.GetPayload(TypeUrl<Detail>());
  if (!payload.has_value()) return;
  google::protobuf::Any& any = *to.add_details();
  any.set_type_url(TypeUrl<Detail>());
  any.set_value(std::string(*payload));
}

}  // namespace

std::string QuoteValue(std::string_view value) {
  return fmt::format("\"{}\"", Clean(value, kQuotedBytesMax));
}

absl::Status InvalidField(std::string_view field, std::string_view value, std::string_view remedy) {
  const std::string description = fmt::format("is {}: {}", QuoteValue(value), remedy);
  absl::Status status =
      WithReason(absl::InvalidArgumentError(fmt::format("{} {}", field, description)),
                 "INVALID_FIELD", {{"field", std::string(field)}});
  BadRequest bad;
  BadRequest::FieldViolation& violation = *bad.add_field_violations();
  violation.set_field(std::string(field));
  violation.set_description(description);
  Attach(status, bad);
  return status;
}

absl::Status WithinField(const absl::Status& status, std::string_view parent) {
  const auto payload = status.GetPayload(TypeUrl<BadRequest>());
  BadRequest bad;
  if (!payload.has_value() || !bad.ParseFromString(std::string(*payload))) return status;
  const auto within = [parent](const std::string& field) {
    return fmt::format("{}.{}", parent, field);
  };
  absl::Status named(status.code(), within(std::string(status.message())));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& detail) { named.SetPayload(url, detail); });
  for (auto& violation : *bad.mutable_field_violations()) {
    violation.set_field(within(violation.field()));
  }
  Attach(named, bad);
  return WithReason(named, ReasonOf(status), {{"field", bad.field_violations(0).field()}});
}

absl::Status UnknownResource(std::string_view type, std::string_view name, std::string_view reason,
                             std::string_view remedy) {
  const std::string quoted = QuoteValue(name);
  absl::Status status =
      WithReason(absl::NotFoundError(fmt::format("{} {} is not known: {}", type, quoted, remedy)),
                 reason, {{std::string(type), Clean(name, kQuotedBytesMax)}});
  ResourceInfo resource;
  resource.set_resource_type(std::string(type));
  resource.set_resource_name(Clean(name, kQuotedBytesMax));
  resource.set_description(std::string(remedy));
  Attach(status, resource);
  return status;
}

absl::Status PreconditionFailed(std::string_view reason, std::string_view subject,
                                std::string_view description) {
  absl::Status status = WithReason(
      absl::FailedPreconditionError(fmt::format("{}: {}", subject, description)), reason);
  PreconditionFailure failure;
  PreconditionFailure::Violation& violation = *failure.add_violations();
  violation.set_type(std::string(reason));
  violation.set_subject(std::string(subject));
  violation.set_description(std::string(description));
  Attach(status, failure);
  return status;
}

absl::Status Overloaded(std::string_view what, std::chrono::milliseconds retry_after) {
  return WithRetryAfter(
      WithReason(absl::ResourceExhaustedError(fmt::format(
                     "{} is full; try again in {} ms, or send less", what, retry_after.count())),
                 "OVERLOADED"),
      retry_after);
}

absl::Status OfStaleState(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  if (reason != "ITEM_UNKNOWN" && reason != "USER_UNKNOWN") return status;
  return WithRetryAfter(
      WithReason(absl::UnavailableError(fmt::format(
                     "{}; what the consistency_token tells of is not applied here yet, so it may "
                     "be there soon: ask again",
                     std::string(status.message()))),
                 "STALE_STATE"),
      kRetryAfterStaleState);
}

absl::Status LogError(const absl::Status& status) {
  if (absl::IsResourceExhausted(status) && ReasonOf(status).empty()) {
    return WithRetryAfter(WithReason(status, "LOG_FULL"), kRetryAfterFullLog);
  }
  return status;
}

absl::Status EventIdReused(std::string_view field, std::string_view id, int64_t offset) {
  return WithReason(
      absl::AlreadyExistsError(fmt::format("{} is {}: the log has something else under this id, at "
                                           "offset {}; nothing was done. Give "
                                           "every interaction and every call an id of its own, and "
                                           "the same one only to send the same "
                                           "again",
                                           field, QuoteValue(id), offset)),
      "EVENT_ID_REUSED", {{"offset", std::to_string(offset)}});
}

absl::Status WithReason(absl::Status status, std::string_view reason,
                        const std::map<std::string, std::string>& metadata) {
  if (status.ok()) return status;
  ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain("groundswell");
  for (const auto& [key, value] : metadata) {
    (*info.mutable_metadata())[key] = Clean(value, kQuotedBytesMax);
  }
  Attach(status, info);
  return status;
}

absl::Status WithRetryAfter(absl::Status status, std::chrono::milliseconds retry_after) {
  if (status.ok()) return status;
  RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(retry_after.count() / 1'000);
  retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(retry_after.count() % 1'000) *
                                         1'000'000);
  Attach(status, retry);
  return status;
}

std::string ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload(TypeUrl<ErrorInfo>());
  ErrorInfo info;
  if (!payload.has_value() || !info.ParseFromString(std::string(*payload))) return "";
  return info.reason();
}

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  google::rpc::Status rpc;
  rpc.set_code(static_cast<int>(status.code()));
  if (status.ok()) return rpc;
  rpc.set_message(Clean({status.message().data(), status.message().size()}, kMessageBytesMax));
  Copy<ErrorInfo>(ReasonOf(status).empty() ? WithReason(status, CodeName(status)) : status, rpc);
  Copy<BadRequest>(status, rpc);
  Copy<PreconditionFailure>(status, rpc);
  Copy<ResourceInfo>(status, rpc);
  Copy<RetryInfo>(status, rpc);
  return rpc;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status rpc = ToRpcStatus(status);
  return grpc::Status(static_cast<grpc::StatusCode>(rpc.code()), rpc.message(),
                      rpc.SerializeAsString());
}

}  // namespace groundswell
