// Errors as callers see them: canonical codes with google.rpc details (AIP-193).
//
// Inside the server an error is an absl::Status; details travel as its payloads. Here they are
// attached, and here, only, a status becomes a google.rpc.Status or a grpc::Status. Every error
// that leaves has exactly one ErrorInfo (domain "groundswell"); one that was given none gets its
// code's name as the reason.
//
// Ids and other values from outside go through QuoteValue before they enter a message.
#ifndef GROUNDSWELL_SERVER_RPC_STATUS_DETAILS_H_
#define GROUNDSWELL_SERVER_RPC_STATUS_DETAILS_H_

#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/support/status.h"

namespace groundswell {

// `value` in double quotes, as valid printable UTF-8 of at most 64 bytes ("…" marks a cut).
std::string QuoteValue(std::string_view value);

// InvalidArgument, reason INVALID_FIELD, with a BadRequest violation: `user_id is "": <remedy>`.
// `remedy` says what would be right, e.g. "must be 1 to 256 bytes of UTF-8".
absl::Status InvalidField(std::string_view field, std::string_view value, std::string_view remedy);

// An error whose BadRequest names a field, of the message that is the field `parent` of the
// request: `page_size` becomes `recommend.page_size`, in the text too. Others stay as they are.
absl::Status WithinField(const absl::Status& status, std::string_view parent);

// NotFound with a ResourceInfo: `item "x" is not known: <remedy>`. `reason` e.g. "ITEM_UNKNOWN".
absl::Status UnknownResource(std::string_view type, std::string_view name, std::string_view reason,
                             std::string_view remedy);

// The error of a call by a state that is behind what the caller's consistency token tells of: an
// item or user that is not known may come with what is not applied yet, which is Unavailable,
// reason STALE_STATE, with RetryInfo. Other errors stay as they are.
absl::Status OfStaleState(const absl::Status& status);

// FailedPrecondition with a PreconditionFailure of this type. `reason` e.g. "PAGE_TOKEN_EXPIRED".
absl::Status PreconditionFailed(std::string_view reason, std::string_view subject,
                                std::string_view description);

// ResourceExhausted, reason OVERLOADED, with RetryInfo: `<what> is full; ...`.
absl::Status Overloaded(std::string_view what, std::chrono::milliseconds retry_after);

// An error of the interaction log as a client is told of it: one for want of room gets the reason
// LOG_FULL and a RetryInfo, unless it has a reason of its own; others stay as they are.
absl::Status LogError(const absl::Status& status);

// AlreadyExists, reason EVENT_ID_REUSED: `field` ("event_id" or "request_id") holds an id under
// which the log has another, different entry, at `offset`.
absl::Status EventIdReused(std::string_view field, std::string_view id, int64_t offset);

// `status` with an ErrorInfo in place of any it had. `reason`: UPPER_SNAKE_CASE, at most 63 bytes.
// OK stays OK.
absl::Status WithReason(absl::Status status, std::string_view reason,
                        const std::map<std::string, std::string>& metadata = {});
// `status` with a RetryInfo. OK stays OK.
absl::Status WithRetryAfter(absl::Status status, std::chrono::milliseconds retry_after);

// The reason of the ErrorInfo; empty when there is none.
std::string ReasonOf(const absl::Status& status);

// OK becomes code 0 without details. Messages are valid UTF-8 of at most 1,024 bytes.
google::rpc::Status ToRpcStatus(const absl::Status& status);
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_STATUS_DETAILS_H_
