#include "server/rpc/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "groundswell/v1/recommend.pb.h"
#include "server/rpc/protocol_descriptors.h"

namespace groundswell {
namespace {

using namespace std::string_view_literals;

const std::vector<std::string> kServices = {"a.First", "b.Second"};

// A length-delimited field of fewer than 128 bytes.
std::string Field(int number, std::string_view bytes) {
  std::string field(1, static_cast<char>(number << 3 | 2));
  field.push_back(static_cast<char>(bytes.size()));
  return field.append(bytes);
}

std::string Answer(std::string_view request) {
  const auto answer = ReflectionService::Answer(request, kServices);
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() ? *answer : "";
}

// valid_host and original_request.
std::string Head(std::string_view host, std::string_view request) {
  return Field(1, host) + Field(2, request);
}

// The number of the answer's last field, which says of what kind it is.
int KindOf(const std::string& answer, std::string_view request) {
  const std::string head = Head("", request);
  EXPECT_EQ(answer.substr(0, head.size()), head);
  return answer.size() > head.size() ? static_cast<uint8_t>(answer[head.size()]) >> 3 : 0;
}

TEST(ReflectionServiceTest, ListsTheServices) {
  const std::string request = Field(1, "here") + Field(7, "");
  EXPECT_EQ(Answer(request), Head("here", request) + Field(6, Field(1, Field(1, "a.First")) +
                                                                  Field(1, Field(1, "b.Second"))));
}

TEST(ReflectionServiceTest, AFileComesWithThoseThatItNeeds) {
  const auto& file = *v1::RecommendRequest::descriptor()->file();
  for (const std::string& request :
       {Field(3, file.name()), Field(4, "groundswell.v1.RecommendRequest"),
        Field(4, "groundswell.v1.RecommendationService")}) {
    const std::string answer = Answer(request);
    EXPECT_EQ(KindOf(answer, request), 4);
    google::protobuf::FileDescriptorProto proto;
    file.CopyTo(&proto);
    EXPECT_NE(answer.find(proto.SerializeAsString()), std::string::npos);
    for (int i = 0; i < file.dependency_count(); ++i) {
      proto.Clear();
      file.dependency(i)->CopyTo(&proto);
      const size_t at = answer.find(proto.SerializeAsString());
      EXPECT_NE(at, std::string::npos) << proto.name();
      EXPECT_EQ(answer.find(proto.SerializeAsString(), at + 1), std::string::npos) << proto.name();
    }
  }
}

TEST(ReflectionServiceTest, DescribesTheProtocolsThatItSpeaksItself) {
  for (const char* const service : kProtocolServices) {
    const std::string request = Field(4, service);
    const std::string answer = Answer(request);
    EXPECT_EQ(KindOf(answer, request), 4) << service;
    EXPECT_NE(ProtocolDescriptors().FindServiceByName(service), nullptr) << service;
  }
  const std::string request = Field(6, "grpc.health.v1.HealthCheckRequest");
  EXPECT_EQ(KindOf(Answer(request), request), 5);
}

TEST(ReflectionServiceTest, WhatIsNotKnownIsAnErrorInTheAnswer) {
  for (const std::string& request :
       {Field(3, "no.proto"), Field(4, "no.Symbol"), Field(5, Field(1, "no.Type") + "\x10\x01"),
        Field(5, Field(1, "groundswell.v1.RecommendRequest") + "\x10\x01"), Field(6, "no.Type"),
        std::string()}) {
    EXPECT_EQ(KindOf(Answer(request), request), 7) << request;
  }
}

TEST(ReflectionServiceTest, ExtensionsOfATypeThatHasNone) {
  const std::string name = "groundswell.v1.RecommendRequest";
  const std::string request = Field(6, name);
  EXPECT_EQ(Answer(request), Head("", request) + Field(5, Field(1, name)));
}

TEST(ReflectionServiceTest, BytesThatAreNoRequestAreRefused) {
  for (const std::string_view bytes :
       {"\x3a\x05x"sv, "\xff"sv, "\x00"sv, "\x2a\x02\x0a\x7f"sv, "\x3a\xff\xff\xff\xff\x0f"sv}) {
    EXPECT_FALSE(ReflectionService::Answer(bytes, kServices).ok()) << bytes;
  }
  EXPECT_TRUE(ReflectionService::Answer("\x3a\x00\xf8\x7f\x01"sv, kServices).ok())
      << "fields of a newer client";
}

}  // namespace
}  // namespace groundswell
