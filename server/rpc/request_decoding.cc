#include "server/rpc/request_decoding.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message.h>
#include <google/protobuf/wire_format_lite.h>

#include <string>
#include <utility>
#include <vector>

#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MessageFactory;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;

// A message of so many bytes takes some megabytes at most, whatever they are.
constexpr size_t kSmallBytes = size_t{64} << 10;
constexpr int kDepthMax = 100;  // protobuf's own
// About what the smallest of each takes in memory, with its place in its list.
constexpr size_t kNumberBytes = 16;
constexpr size_t kStringBytes = 64;
constexpr size_t kGroupBytes = 64;

enum class Walked { kWhole, kTooLarge, kTooMuchUnknown, kUndecodable };

// Adds up what a message takes.
class DecodedSize {
 public:
  // One message, to the end of `in` or of its group.
  Walked Add(CodedInputStream& in, const Descriptor* type, int depth) {
    if (depth > kDepthMax) return Walked::kUndecodable;
    while (const uint32_t tag = in.ReadTag()) {
      if (WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_END_GROUP) break;
      if (const Walked field = AddField(in, tag, type, depth); field != Walked::kWhole) {
        return field;
      }
      if (bytes_ > kDecodedBytesMax) return Walked::kTooLarge;
      if (unknown_bytes_ > kUnknownBytesMax) return Walked::kTooMuchUnknown;
    }
    return Walked::kWhole;
  }

 private:
  Walked AddField(CodedInputStream& in, uint32_t tag, const Descriptor* type, int depth) {
    const auto wire_type = WireFormatLite::GetTagWireType(tag);
    const FieldDescriptor* const field = FieldOf(type, tag);
    if (field == nullptr) unknown_bytes_ += CodedOutputStream::VarintSize32(tag);
    if (wire_type == WireFormatLite::WIRETYPE_START_GROUP) {
      bytes_ += kGroupBytes;
      return Add(in, nullptr, depth + 1);
    }
    if (wire_type != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      bytes_ += kNumberBytes;
      if (field == nullptr) unknown_bytes_ += kNumberBytes;
      return WireFormatLite::SkipField(&in, tag) ? Walked::kWhole : Walked::kUndecodable;
    }
    uint32_t length = 0;
    if (!in.ReadVarint32(&length)) return Walked::kUndecodable;
    if (field == nullptr) unknown_bytes_ += length;
    if (field == nullptr || field->type() != FieldDescriptor::TYPE_MESSAGE) {
      const bool is_packed = field != nullptr && field->is_packable();
      bytes_ += kStringBytes + (is_packed ? length * sizeof(int64_t) : length);
      return in.Skip(static_cast<int>(length)) ? Walked::kWhole : Walked::kUndecodable;
    }
    bytes_ += SizeOf(*field->message_type());
    const CodedInputStream::Limit outside = in.PushLimit(static_cast<int>(length));
    const Walked inside = Add(in, field->message_type(), depth + 1);
    const bool is_whole = in.BytesUntilLimit() == 0;
    in.PopLimit(outside);
    if (inside != Walked::kWhole) return inside;
    return is_whole ? Walked::kWhole : Walked::kUndecodable;
  }

  // Null: the message keeps it as a field that it does not have.
  static const FieldDescriptor* FieldOf(const Descriptor* type, uint32_t tag) {
    const FieldDescriptor* const field =
        type == nullptr ? nullptr : type->FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
    if (field == nullptr) return nullptr;
    const auto wire_type = WireFormatLite::GetTagWireType(tag);
    const bool is_packed =
        field->is_packable() && wire_type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    const auto field_type = static_cast<WireFormatLite::FieldType>(field->type());
    return is_packed || wire_type == WireFormatLite::WireTypeForFieldType(field_type) ? field
                                                                                      : nullptr;
  }

  // Of an empty one, with its place in its list.
  size_t SizeOf(const Descriptor& type) {
    for (const auto& [known, size] : sizes_) {
      if (known == &type) return size;
    }
    const auto* const empty = MessageFactory::generated_factory()->GetPrototype(&type);
    return sizes_.emplace_back(&type, empty->SpaceUsedLong() + sizeof(void*)).second;
  }

  size_t bytes_ = 0;
  size_t unknown_bytes_ = 0;  // about as they were sent
  std::vector<std::pair<const Descriptor*, size_t>> sizes_;
};

absl::Status TooLarge(const Descriptor& type, const std::string& message) {
  return WithReason(absl::InvalidArgumentError(message), "REQUEST_TOO_LARGE",
                    {{"message", type.full_name()}});
}

}  // namespace

absl::Status UndecodableRequest(std::string_view type) {
  return WithReason(
      absl::InvalidArgumentError(fmt::format("the request is no {}: its bytes cannot be decoded. "
                                             "Strings must be UTF-8, and the message "
                                             "one of this API",
                                             type)),
      "UNDECODABLE_REQUEST", {{"message", std::string(type)}});
}

absl::Status CheckDecodedSize(const grpc::ByteBuffer& bytes, const Descriptor& type) {
  if (bytes.Length() <= kSmallBytes) return absl::OkStatus();
  grpc::ByteBuffer shared = bytes;  // the same slices
  grpc::ProtoBufferReader reader(&shared);
  CodedInputStream in(&reader);
  switch (DecodedSize().Add(in, &type, 0)) {
    case Walked::kWhole:
      return absl::OkStatus();
    case Walked::kUndecodable:
      return UndecodableRequest(type.full_name());
    case Walked::kTooLarge:
      return TooLarge(type, fmt::format("the {} of {} bytes takes more than {} bytes once it is "
                                        "decoded: send fewer entries at once",
                                        type.full_name(), bytes.Length(), kDecodedBytesMax));
    case Walked::kTooMuchUnknown:
      break;
  }
  return TooLarge(type, fmt::format("the {} of {} bytes has more than {} bytes of fields that are "
                                    "none of this API: leave them out, or send fewer at once",
                                    type.full_name(), bytes.Length(), kUnknownBytesMax));
}

int IndexOf(std::string_view service, Method method) {
  const auto* const described =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(std::string(service));
  return described->FindMethodByName(NameOf(method))->index();
}

}  // namespace groundswell
