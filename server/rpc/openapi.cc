#include "server/rpc/openapi.h"

#include <google/protobuf/descriptor.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

namespace groundswell {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using nlohmann::ordered_json;

// What protobuf's JSON has another form for than an object of the message's fields.
const std::map<std::string_view, ordered_json>& WellKnownSchemas() {
  static const auto& schemas = *new std::map<std::string_view, ordered_json>{
      {"google.protobuf.Timestamp", {{"type", "string"}, {"format", "date-time"}}},
      {"google.protobuf.Duration", {{"type", "string"}, {"examples", {"1.5s"}}}},
      {"google.protobuf.Struct", {{"type", "object"}}},
      {"google.protobuf.Any", {{"type", "object"}}},
      {"google.protobuf.FieldMask", {{"type", "string"}}}};
  return schemas;
}

class Schemas {
 public:
  ordered_json Reference(const Descriptor& message) {
    const auto known = WellKnownSchemas().find(message.full_name());
    if (known != WellKnownSchemas().end()) return known->second;
    Add(message);
    return {{"$ref", "#/components/schemas/" + message.full_name()}};
  }
  ordered_json Take() { return std::move(schemas_); }

 private:
  void Add(const Descriptor& message) {
    if (!added_.insert(message.full_name()).second) return;
    ordered_json properties = ordered_json::object();
    for (int i = 0; i < message.field_count(); ++i) {
      properties[message.field(i)->json_name()] = SchemaOf(*message.field(i));
    }
    schemas_[message.full_name()] = {{"type", "object"}, {"properties", std::move(properties)}};
  }

  ordered_json SchemaOf(const FieldDescriptor& field) {
    if (field.is_map()) {
      return {{"type", "object"},
              {"additionalProperties", SchemaOfOne(*field.message_type()->map_value())}};
    }
    if (field.is_repeated()) return {{"type", "array"}, {"items", SchemaOfOne(field)}};
    return SchemaOfOne(field);
  }

  ordered_json SchemaOfOne(const FieldDescriptor& field) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Reference(*field.message_type());
      case FieldDescriptor::CPPTYPE_ENUM:
        return SchemaOfEnum(*field.enum_type());
      case FieldDescriptor::CPPTYPE_BOOL:
        return {{"type", "boolean"}};
      case FieldDescriptor::CPPTYPE_INT32:
      case FieldDescriptor::CPPTYPE_UINT32:
        return {{"type", "integer"}, {"format", "int32"}};
      case FieldDescriptor::CPPTYPE_INT64:
      case FieldDescriptor::CPPTYPE_UINT64:
        return {{"type", "string"}, {"format", "int64"}};
      case FieldDescriptor::CPPTYPE_FLOAT:
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return {{"type", "number"}};
      case FieldDescriptor::CPPTYPE_STRING:
        return field.type() == FieldDescriptor::TYPE_BYTES
                   ? ordered_json{{"type", "string"}, {"contentEncoding", "base64"}}
                   : ordered_json{{"type", "string"}};
    }
    return ordered_json::object();
  }

  static ordered_json SchemaOfEnum(const EnumDescriptor& values) {
    ordered_json names = ordered_json::array();
    for (int i = 0; i < values.value_count(); ++i) names.push_back(values.value(i)->name());
    return {{"type", "string"}, {"enum", std::move(names)}};
  }

  std::set<std::string> added_;
  ordered_json schemas_ = ordered_json::object();
};

ordered_json ErrorSchema() {
  const ordered_json text = {{"type", "string"}};
  const ordered_json detail = {
      {"type", "object"},
      {"properties", {{"type", text}, {"value", text}, {"debug", {{"type", "object"}}}}}};
  return {
      {"type", "object"},
      {"properties",
       {{"code", text}, {"message", text}, {"details", {{"type", "array"}, {"items", detail}}}}}};
}

ordered_json JsonContent(ordered_json schema) {
  return {{"application/json", {{"schema", std::move(schema)}}}};
}

ordered_json OperationOf(const MethodDescriptor& method, Schemas& schemas) {
  return {{"operationId", method.service()->name() + "_" + method.name()},
          {"tags", {method.service()->name()}},
          {"requestBody",
           {{"required", true}, {"content", JsonContent(schemas.Reference(*method.input_type()))}}},
          {"responses",
           {{"200",
             {{"description", "The answer."},
              {"content", JsonContent(schemas.Reference(*method.output_type()))}}},
            {"default",
             {{"description", "The error, with its google.rpc details."},
              {"content", JsonContent({{"$ref", "#/components/schemas/Error"}})}}}}}};
}

}  // namespace

std::string OpenApiDocument(const std::vector<std::string>& services) {
  Schemas schemas;
  ordered_json paths = ordered_json::object();
  for (const std::string& name : services) {
    const ServiceDescriptor* const service =
        DescriptorPool::generated_pool()->FindServiceByName(name);
    if (service == nullptr) continue;
    for (int i = 0; i < service->method_count(); ++i) {
      const MethodDescriptor& method = *service->method(i);
      if (method.client_streaming() || method.server_streaming()) continue;
      paths["/" + name + "/" + method.name()]["post"] = OperationOf(method, schemas);
    }
  }
  ordered_json of_schemas = schemas.Take();
  of_schemas["Error"] = ErrorSchema();
  return ordered_json{
      {"openapi", "3.1.0"},
      {"info", {{"title", "Groundswell"}, {"version", GROUNDSWELL_VERSION}}},
      {"paths", std::move(paths)},
      {"components",
       {{"schemas", std::move(of_schemas)},
        {"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}}}}}}
      .dump(1);
}

}  // namespace groundswell
