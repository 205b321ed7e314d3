// One server on the sample snapshot, shared by the tests of a suite, and stubs to talk to it.
#ifndef GROUNDSWELL_TESTS_INTEGRATION_SAMPLE_SERVER_H_
#define GROUNDSWELL_TESTS_INTEGRATION_SAMPLE_SERVER_H_

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "groundswell/v1/admin.grpc.pb.h"
#include "groundswell/v1/interaction.grpc.pb.h"
#include "groundswell/v1/recommend.grpc.pb.h"
#include "tests/integration/server_process.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {

// A customer of the sample with a long history, and an item of its catalogue.
inline constexpr char kCustomer[] = "17850";
inline constexpr char kItem[] = "85123A";

// The stubs of one server.
struct Stubs {
  explicit Stubs(const std::string& address)
      : channel(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())),
        recommend(v1::RecommendationService::NewStub(channel)),
        interaction(v1::InteractionService::NewStub(channel)),
        admin(v1::AdminService::NewStub(channel)) {}

  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::RecommendationService::Stub> recommend;
  std::unique_ptr<v1::InteractionService::Stub> interaction;
  std::unique_ptr<v1::AdminService::Stub> admin;
};

// A context with a deadline that no healthy call reaches.
inline std::unique_ptr<grpc::ClientContext> NewContext() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(5));
  return context;
}

// Whether it comes true. What a server does beside answering takes a busy machine a while: five
// minutes are only waited for when it never does.
template <typename Condition>
bool Becomes(const Condition& condition) {
  const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(5);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > patience) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

// A detail message of an error; nullopt when it has none of that type.
template <typename Detail>
std::optional<Detail> DetailOf(const google::rpc::Status& status) {
  for (const google::protobuf::Any& any : status.details()) {
    Detail detail;
    if (any.UnpackTo(&detail)) return detail;
  }
  return std::nullopt;
}

inline google::rpc::Status RichStatus(const grpc::Status& status) {
  google::rpc::Status rich;
  rich.ParseFromString(status.error_details());
  return rich;
}

inline std::string ReasonOf(const google::rpc::Status& status) {
  const auto info = DetailOf<google::rpc::ErrorInfo>(status);
  return info.has_value() ? info->reason() : "";
}

inline std::string FieldOf(const google::rpc::Status& status) {
  const auto bad = DetailOf<google::rpc::BadRequest>(status);
  return bad.has_value() && bad->field_violations_size() == 1 ? bad->field_violations(0).field()
                                                              : "";
}

inline v1::Interaction NewInteraction(const std::string& event_id, const std::string& user,
                                      const std::string& item) {
  v1::Interaction interaction;
  interaction.set_event_id(event_id);
  interaction.set_user_id(user);
  interaction.set_item_id(item);
  interaction.set_event_type("purchase");
  interaction.mutable_event_time()->set_seconds(1'322'000'000);
  return interaction;
}

// Records one, and has its consistency token.
inline std::string RecordAt(const Stubs& stubs, const std::string& event_id,
                            const std::string& user, const std::string& item, int64_t time_s) {
  v1::RecordInteractionRequest request;
  *request.mutable_interaction() = NewInteraction(event_id, user, item);
  request.mutable_interaction()->mutable_event_time()->set_seconds(time_s);
  v1::RecordInteractionResponse response;
  const grpc::Status status =
      stubs.interaction->RecordInteraction(NewContext().get(), request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.consistency_token();
}

class SampleServerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TemporaryDirectory;
    ImportSample(directory_->File("db"));
    server_ = new ServerProcess(directory_->File("db"));
    stubs_ = new Stubs(server_->grpc_address());
  }
  static void TearDownTestSuite() {
    delete stubs_;
    delete server_;
    delete directory_;
  }

  static v1::RecommendResponse Recommend(const v1::RecommendRequest& request) {
    v1::RecommendResponse response;
    const grpc::Status status =
        stubs_->recommend->Recommend(NewContext().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  static v1::RecordInteractionResponse Record(const v1::Interaction& interaction) {
    v1::RecordInteractionRequest request;
    *request.mutable_interaction() = interaction;
    v1::RecordInteractionResponse response;
    const grpc::Status status =
        stubs_->interaction->RecordInteraction(NewContext().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  static inline TemporaryDirectory* directory_ = nullptr;
  static inline ServerProcess* server_ = nullptr;
  static inline Stubs* stubs_ = nullptr;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_INTEGRATION_SAMPLE_SERVER_H_
