#include "server/rpc/connect_errors.h"

#include <google/protobuf/util/json_util.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/escaping.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace groundswell {
namespace {

using nlohmann::ordered_json;

struct ConnectStatus {
  std::string_view code;
  int http;
};

// By grpc::StatusCode.
constexpr std::array<ConnectStatus, 17> kConnectStatus = {{{"ok", 200},
                                                           {"canceled", 499},
                                                           {"unknown", 500},
                                                           {"invalid_argument", 400},
                                                           {"deadline_exceeded", 504},
                                                           {"not_found", 404},
                                                           {"already_exists", 409},
                                                           {"permission_denied", 403},
                                                           {"resource_exhausted", 429},
                                                           {"failed_precondition", 400},
                                                           {"aborted", 409},
                                                           {"out_of_range", 400},
                                                           {"unimplemented", 501},
                                                           {"internal", 500},
                                                           {"unavailable", 503},
                                                           {"data_loss", 500},
                                                           {"unauthenticated", 401}}};

const ConnectStatus& ConnectStatusOf(grpc::StatusCode code) {
  const auto at = static_cast<size_t>(code);
  return kConnectStatus[at < kConnectStatus.size() ? at : size_t{grpc::StatusCode::UNKNOWN}];
}

google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) details.Clear();
  return details;
}

ordered_json DetailJson(const google::protobuf::Any& detail) {
  const std::string& url = detail.type_url();
  std::string value = absl::Base64Escape(detail.value());
  while (value.ends_with('=')) value.pop_back();
  ordered_json json = {{"type", url.substr(url.rfind('/') + 1)}, {"value", value}};
  std::string debug;
  if (google::protobuf::util::MessageToJsonString(detail, &debug).ok()) {
    json["debug"] = ordered_json::parse(debug, nullptr, false);
    json["debug"].erase("@type");
  }
  return json;
}

std::optional<int64_t> RetryAfterSeconds(const google::rpc::Status& details) {
  for (const google::protobuf::Any& detail : details.details()) {
    google::rpc::RetryInfo retry;
    if (!detail.UnpackTo(&retry)) continue;
    return retry.retry_delay().seconds() + (retry.retry_delay().nanos() > 0 ? 1 : 0);
  }
  return std::nullopt;
}

}  // namespace

std::string_view ConnectCode(grpc::StatusCode code) { return ConnectStatusOf(code).code; }

std::string ConnectErrorJson(const grpc::Status& status) {
  ordered_json json = {{"code", ConnectCode(status.error_code())},
                       {"message", status.error_message()}};
  const google::rpc::Status details = DetailsOf(status);
  for (const google::protobuf::Any& detail : details.details()) {
    json["details"].push_back(DetailJson(detail));
  }
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

HttpAnswer ConnectError(const grpc::Status& status) {
  HttpAnswer answer{.status = ConnectStatusOf(status.error_code()).http,
                    .body = ConnectErrorJson(status),
                    .content_type = "application/json"};
  if (const auto seconds = RetryAfterSeconds(DetailsOf(status)); seconds.has_value()) {
    answer.fields.emplace_back("Retry-After", std::to_string(*seconds));
  }
  return answer;
}

}  // namespace groundswell
