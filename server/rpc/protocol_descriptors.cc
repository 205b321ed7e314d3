#include "server/rpc/protocol_descriptors.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace groundswell {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::DescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptorProto;
using google::protobuf::ServiceDescriptorProto;

struct ProtocolField {
  const char* name;
  int number;
  FieldDescriptorProto::Type type;
  const char* type_name = "";  // of a message or an enum of the file
  bool is_repeated = false;
  const char* one_of = "";
};

constexpr auto kText = FieldDescriptorProto::TYPE_STRING;
constexpr auto kBytes = FieldDescriptorProto::TYPE_BYTES;
constexpr auto kInt = FieldDescriptorProto::TYPE_INT32;
constexpr auto kEnum = FieldDescriptorProto::TYPE_ENUM;
constexpr auto kMessage = FieldDescriptorProto::TYPE_MESSAGE;

FileDescriptorProto NewFile(const std::string& package, const std::string& name) {
  FileDescriptorProto file;
  file.set_name(name);
  file.set_package(package);
  file.set_syntax("proto3");
  return file;
}

DescriptorProto& AddMessage(const char* name, std::initializer_list<ProtocolField> fields,
                            FileDescriptorProto& file) {
  DescriptorProto& message = *file.add_message_type();
  message.set_name(name);
  for (const ProtocolField& of : fields) {
    FieldDescriptorProto& field = *message.add_field();
    field.set_name(of.name);
    field.set_number(of.number);
    field.set_type(of.type);
    field.set_label(of.is_repeated ? FieldDescriptorProto::LABEL_REPEATED
                                   : FieldDescriptorProto::LABEL_OPTIONAL);
    if (*of.type_name != '\0') {
      field.set_type_name("." + file.package() + "." + of.type_name);
    }
    if (*of.one_of == '\0') continue;
    if (message.oneof_decl_size() == 0) message.add_oneof_decl()->set_name(of.one_of);
    field.set_oneof_index(0);
  }
  return message;
}

void AddMethod(const char* name, const char* request, const char* response, bool client_streams,
               bool server_streams, const FileDescriptorProto& file,
               ServiceDescriptorProto& service) {
  auto& method = *service.add_method();
  method.set_name(name);
  method.set_input_type("." + file.package() + "." + request);
  method.set_output_type("." + file.package() + "." + response);
  if (client_streams) method.set_client_streaming(true);
  if (server_streams) method.set_server_streaming(true);
}

FileDescriptorProto HealthFile() {
  FileDescriptorProto file = NewFile("grpc.health.v1", "grpc/health/v1/health.proto");
  AddMessage("HealthCheckRequest", {{"service", 1, kText}}, file);
  DescriptorProto& response = AddMessage(
      "HealthCheckResponse", {{"status", 1, kEnum, "HealthCheckResponse.ServingStatus"}}, file);
  auto& statuses = *response.add_enum_type();
  statuses.set_name("ServingStatus");
  for (const char* status : {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}) {
    auto& value = *statuses.add_value();
    value.set_name(status);
    value.set_number(statuses.value_size() - 1);
  }
  ServiceDescriptorProto& service = *file.add_service();
  service.set_name("Health");
  AddMethod("Check", "HealthCheckRequest", "HealthCheckResponse", false, false, file, service);
  AddMethod("Watch", "HealthCheckRequest", "HealthCheckResponse", false, true, file, service);
  return file;
}

// The two versions differ in their names alone.
FileDescriptorProto ReflectionFile(const std::string& version) {
  FileDescriptorProto file =
      NewFile("grpc.reflection." + version, "grpc/reflection/" + version + "/reflection.proto");
  constexpr const char* kAsked = "message_request";
  constexpr const char* kAnswered = "message_response";
  AddMessage("ServerReflectionRequest",
             {{"host", 1, kText},
              {"file_by_filename", 3, kText, "", false, kAsked},
              {"file_containing_symbol", 4, kText, "", false, kAsked},
              {"file_containing_extension", 5, kMessage, "ExtensionRequest", false, kAsked},
              {"all_extension_numbers_of_type", 6, kText, "", false, kAsked},
              {"list_services", 7, kText, "", false, kAsked}},
             file);
  AddMessage("ExtensionRequest", {{"containing_type", 1, kText}, {"extension_number", 2, kInt}},
             file);
  AddMessage(
      "ServerReflectionResponse",
      {{"valid_host", 1, kText},
       {"original_request", 2, kMessage, "ServerReflectionRequest"},
       {"file_descriptor_response", 4, kMessage, "FileDescriptorResponse", false, kAnswered},
       {"all_extension_numbers_response", 5, kMessage, "ExtensionNumberResponse", false, kAnswered},
       {"list_services_response", 6, kMessage, "ListServiceResponse", false, kAnswered},
       {"error_response", 7, kMessage, "ErrorResponse", false, kAnswered}},
      file);
  AddMessage("FileDescriptorResponse", {{"file_descriptor_proto", 1, kBytes, "", true}}, file);
  AddMessage("ExtensionNumberResponse",
             {{"base_type_name", 1, kText}, {"extension_number", 2, kInt, "", true}}, file);
  AddMessage("ListServiceResponse", {{"service", 1, kMessage, "ServiceResponse", true}}, file);
  AddMessage("ServiceResponse", {{"name", 1, kText}}, file);
  AddMessage("ErrorResponse", {{"error_code", 1, kInt}, {"error_message", 2, kText}}, file);
  ServiceDescriptorProto& service = *file.add_service();
  service.set_name("ServerReflection");
  AddMethod("ServerReflectionInfo", "ServerReflectionRequest", "ServerReflectionResponse", true,
            true, file, service);
  return file;
}

}  // namespace

const DescriptorPool& ProtocolDescriptors() {
  static const std::unique_ptr<const DescriptorPool> kPool = [] {
    auto pool = std::make_unique<DescriptorPool>();
    for (const FileDescriptorProto& file :
         {HealthFile(), ReflectionFile("v1"), ReflectionFile("v1alpha")}) {
      pool->BuildFile(file);
    }
    return pool;
  }();
  return *kPool;
}

}  // namespace groundswell
