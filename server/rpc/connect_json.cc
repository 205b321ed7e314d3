#include "server/rpc/connect_json.h"

#include <fmt/format.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "csv/json_faults.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::MethodDescriptor;

constexpr char kTypesUrl[] = "type.googleapis.com";
constexpr size_t kJsonValuesMax = 250'000;

std::unique_ptr<Message> NewMessage(const google::protobuf::Descriptor& type) {
  return std::unique_ptr<Message>(MessageFactory::generated_factory()->GetPrototype(&type)->New());
}

}  // namespace

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToBytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

grpc::Status CheckJsonValues(std::string_view json) {
  const auto values = static_cast<size_t>(
      std::ranges::count_if(json, [](char c) { return c == ',' || c == '{' || c == '['; }));
  if (values <= kJsonValuesMax) return grpc::Status::OK;
  return ToGrpcStatus(WithReason(
      absl::InvalidArgumentError(fmt::format(
          "the body has {} commas and brackets, and may have {}: send fewer entries at once",
          values, kJsonValuesMax)),
      "REQUEST_TOO_LARGE"));
}

grpc::Status FromJson(std::string_view json, const google::protobuf::Descriptor& type,
                      std::string_view where, grpc::ByteBuffer& out) {
  if (const std::optional<std::string> fault = FindJsonFault(json); fault.has_value()) {
    return ToGrpcStatus(
        WithReason(absl::InvalidArgumentError(fmt::format("{}the body {}", where, *fault)),
                   "UNDECODABLE_REQUEST"));
  }
  static google::protobuf::util::TypeResolver* const types =
      google::protobuf::util::NewTypeResolverForDescriptorPool(
          kTypesUrl, google::protobuf::DescriptorPool::generated_pool());
  std::string bytes;
  const auto read = google::protobuf::util::JsonToBinaryString(
      types, std::string(kTypesUrl) + "/" + type.full_name(),
      google::protobuf::StringPiece(json.data(), json.size()), &bytes);
  if (!read.ok()) {
    return ToGrpcStatus(WithReason(
        absl::InvalidArgumentError(fmt::format("{}the body is no {} as JSON: {}", where,
                                               type.full_name(), std::string(read.message()))),
        "UNDECODABLE_REQUEST"));
  }
  out = ToBuffer(bytes);
  return grpc::Status::OK;
}

grpc::Status ToJson(const grpc::ByteBuffer& buffer, const google::protobuf::Descriptor& type,
                    std::string& json) {
  const std::unique_ptr<Message> message = NewMessage(type);
  if (message->ParseFromString(ToBytes(buffer)) &&
      google::protobuf::util::MessageToJsonString(*message, &json).ok()) {
    return grpc::Status::OK;
  }
  return {grpc::StatusCode::INTERNAL, "the answer has no form as JSON; ask for application/proto"};
}

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

std::string PathOf(const MethodDescriptor& method) {
  return "/" + method.service()->full_name() + "/" + method.name();
}

}  // namespace groundswell
