#include "server/rpc/reflection_service.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/rpc/protocol_descriptors.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// The messages are read and written field by field: their generated code is in gRPC's own
// reflection library, which a process that has both could not register twice.

// Of ServerReflectionRequest.
constexpr int kHost = 1;
constexpr int kFileByFilename = 3;
constexpr int kFileContainingSymbol = 4;
constexpr int kFileContainingExtension = 5;
constexpr int kAllExtensionNumbersOfType = 6;
constexpr int kListServices = 7;
// Of ExtensionRequest.
constexpr int kContainingType = 1;
constexpr int kExtensionNumber = 2;

// Of ServerReflectionResponse.
constexpr int kValidHost = 1;
constexpr int kOriginalRequest = 2;
constexpr int kFileDescriptorResponse = 4;
constexpr int kAllExtensionNumbersResponse = 5;
constexpr int kListServicesResponse = 6;
constexpr int kErrorResponse = 7;
// Of the messages in it.
constexpr int kFileDescriptorProto = 1;
constexpr int kBaseTypeName = 1;
constexpr int kExtensionNumbers = 2;
constexpr int kService = 1;
constexpr int kName = 1;
constexpr int kErrorCode = 1;
constexpr int kErrorMessage = 2;

struct Question {
  std::string host;
  int kind = 0;      // the number of its field; 0: none was asked
  std::string name;  // of a file, symbol or type
  int32_t number = 0;
};

bool ReadText(CodedInputStream& in, std::string& text) {
  uint32_t length = 0;
  return in.ReadVarint32(&length) && in.ReadString(&text, static_cast<int>(length));
}

bool ReadExtension(std::string_view bytes, Question& question) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  question.name.clear();
  while (const uint32_t tag = in.ReadTag()) {
    uint64_t number = 0;
    if (tag ==
        WireFormatLite::MakeTag(kContainingType, WireFormatLite::WIRETYPE_LENGTH_DELIMITED)) {
      if (!ReadText(in, question.name)) return false;
    } else if (tag == WireFormatLite::MakeTag(kExtensionNumber, WireFormatLite::WIRETYPE_VARINT)) {
      if (!in.ReadVarint64(&number)) return false;
      question.number = static_cast<int32_t>(number);
    } else if (!WireFormatLite::SkipField(&in, tag)) {
      return false;
    }
  }
  return in.ConsumedEntireMessage();
}

// nullopt: it is no ServerReflectionRequest.
std::optional<Question> ReadQuestion(std::string_view request) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(request.data()),
                      static_cast<int>(request.size()));
  Question question;
  while (const uint32_t tag = in.ReadTag()) {
    const int field = WireFormatLite::GetTagFieldNumber(tag);
    const bool is_text =
        WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    if (is_text && field == kHost) {
      if (!ReadText(in, question.host)) return std::nullopt;
    } else if (is_text && field >= kFileByFilename && field <= kListServices) {
      question.kind = field;  // the last one counts
      if (!ReadText(in, question.name)) return std::nullopt;
    } else if (!WireFormatLite::SkipField(&in, tag)) {
      return std::nullopt;
    }
  }
  if (!in.ConsumedEntireMessage()) return std::nullopt;
  if (question.kind == kFileContainingExtension &&
      !ReadExtension(std::exchange(question.name, ""), question)) {
    return std::nullopt;
  }
  return question;
}

void Append(int field, std::string_view bytes, std::string& out) {
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.WriteTag(WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  coded.WriteVarint32(static_cast<uint32_t>(bytes.size()));
  coded.WriteRaw(bytes.data(), static_cast<int>(bytes.size()));
}

void Append(int field, int32_t value, std::string& out) {
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  WireFormatLite::WriteInt32(field, value, &coded);
}

// The file, and after it those that it needs, each once.
void AppendFiles(const FileDescriptor& file, std::set<const FileDescriptor*>& appended,
                 std::string& out) {
  if (!appended.insert(&file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  Append(kFileDescriptorProto, proto.SerializeAsString(), out);
  for (int i = 0; i < file.dependency_count(); ++i) {
    AppendFiles(*file.dependency(i), appended, out);
  }
}

// Null: the pool knows none.
const FileDescriptor* FileAskedFor(const Question& question, const DescriptorPool& pool) {
  if (question.kind == kFileByFilename) return pool.FindFileByName(question.name);
  if (question.kind == kFileContainingSymbol) return pool.FindFileContainingSymbol(question.name);
  const Descriptor* const type = pool.FindMessageTypeByName(question.name);
  if (type == nullptr) return nullptr;
  const FieldDescriptor* const extension = pool.FindExtensionByNumber(type, question.number);
  return extension == nullptr ? nullptr : extension->file();
}

const FileDescriptor* FileAskedFor(const Question& question) {
  const FileDescriptor* const file = FileAskedFor(question, *DescriptorPool::generated_pool());
  return file != nullptr ? file : FileAskedFor(question, ProtocolDescriptors());
}

// False: the type is not known.
bool AppendExtensionNumbers(const std::string& type_name, std::string& out) {
  const Descriptor* type = DescriptorPool::generated_pool()->FindMessageTypeByName(type_name);
  if (type == nullptr) type = ProtocolDescriptors().FindMessageTypeByName(type_name);
  if (type == nullptr) return false;
  Append(kBaseTypeName, type_name, out);
  std::vector<const FieldDescriptor*> extensions;
  type->file()->pool()->FindAllExtensions(type, &extensions);
  for (const FieldDescriptor* extension : extensions) {
    Append(kExtensionNumbers, extension->number(), out);
  }
  return true;
}

void AppendError(grpc::StatusCode code, std::string_view message, std::string& response) {
  std::string error;
  Append(kErrorCode, static_cast<int32_t>(code), error);
  Append(kErrorMessage, message, error);
  Append(kErrorResponse, error, response);
}

void AppendAnswer(const Question& question, std::span<const std::string> service_names,
                  std::string& response) {
  std::string answer;
  if (question.kind == 0) {
    AppendError(grpc::StatusCode::INVALID_ARGUMENT, "the request asks for nothing", response);
  } else if (question.kind == kListServices) {
    for (const std::string& name : service_names) {
      std::string service;
      Append(kName, name, service);
      Append(kService, service, answer);
    }
    Append(kListServicesResponse, answer, response);
  } else if (question.kind == kAllExtensionNumbersOfType) {
    if (AppendExtensionNumbers(question.name, answer)) {
      Append(kAllExtensionNumbersResponse, answer, response);
    } else {
      AppendError(grpc::StatusCode::NOT_FOUND, "the type is not known", response);
    }
  } else if (const FileDescriptor* file = FileAskedFor(question); file != nullptr) {
    std::set<const FileDescriptor*> appended;
    AppendFiles(*file, appended, answer);
    Append(kFileDescriptorResponse, answer, response);
  } else {
    AppendError(grpc::StatusCode::NOT_FOUND, "no file has it", response);
  }
}

// One question after the other; deletes itself.
class ReflectionStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit ReflectionStream(std::span<const std::string> service_names)
      : service_names_(service_names) {
    StartRead(&received_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    absl::StatusOr<std::string> answer = AnswerReceived();
    received_.Clear();
    if (!answer.ok()) return Finish(ToGrpcStatus(answer.status()));
    const grpc::Slice slice(*answer);
    sent_ = grpc::ByteBuffer(&slice, 1);
    StartWrite(&sent_);
  }

  void OnWriteDone(bool ok) override {
    sent_.Clear();
    if (!ok) return Finish(grpc::Status::CANCELLED);
    StartRead(&received_);
  }

  void OnDone() override { delete this; }

 private:
  absl::StatusOr<std::string> AnswerReceived() {
    if (received_.Length() > ReflectionService::kRequestBytesMax) {
      return absl::InvalidArgumentError(
          fmt::format("a ServerReflectionRequest has {} bytes at most, not {}",
                      ReflectionService::kRequestBytesMax, received_.Length()));
    }
    grpc::Slice slice;
    if (!received_.DumpToSingleSlice(&slice).ok()) {
      return absl::InternalError("the request cannot be read");
    }
    return ReflectionService::Answer({reinterpret_cast<const char*>(slice.begin()), slice.size()},
                                     service_names_);
  }

  const std::span<const std::string> service_names_;
  grpc::ByteBuffer received_;
  grpc::ByteBuffer sent_;
};

}  // namespace

ReflectionService::ReflectionService(std::vector<std::string> service_names)
    : service_names_(std::move(service_names)) {
  int index = 0;
  for (const char* path : {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                           "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    AddMethod(new grpc::internal::RpcServiceMethod(path, grpc::internal::RpcMethod::BIDI_STREAMING,
                                                   nullptr));
    MarkMethodRawCallback(
        index++,
        new grpc::internal::CallbackBidiHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
            [this](grpc::CallbackServerContext*) { return new ReflectionStream(service_names_); }));
  }
}

absl::StatusOr<std::string> ReflectionService::Answer(std::string_view request,
                                                      std::span<const std::string> service_names) {
  const std::optional<Question> question = ReadQuestion(request);
  if (!question.has_value()) {
    return absl::InvalidArgumentError("the request is no ServerReflectionRequest");
  }
  std::string response;
  Append(kValidHost, question->host, response);
  Append(kOriginalRequest, request, response);
  AppendAnswer(*question, service_names, response);
  return response;
}

}  // namespace groundswell
