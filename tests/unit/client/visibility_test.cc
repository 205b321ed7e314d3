#include "client/events/visibility.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <string>

#include "groundswell/v1/admin.grpc.pb.h"
#include "groundswell/v1/interaction.grpc.pb.h"
#include "groundswell/v1/recommend.grpc.pb.h"
#include "tests/unit/client/loopback_server.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr milliseconds kLong{300'000};

// A graph that is one offset further at each call, up to a bound.
struct Graph {
  int64_t Look() { return applied = std::min(applied + 1, end); }
  int64_t applied = 0;
  int64_t end = 5;
};

class StatusService final : public v1::AdminService::Service {
 public:
  explicit StatusService(Graph& graph) : graph_(graph) {}
  grpc::Status GetServerStatus(grpc::ServerContext*, const v1::GetServerStatusRequest*,
                               v1::ServerStatus* status) override {
    if (code != grpc::StatusCode::OK) return {code, "no"};
    if (++calls <= away) return {grpc::StatusCode::UNAVAILABLE, "away"};
    status->mutable_graph()->set_applied_offset(graph_.Look());
    status->mutable_graph()->set_log_end_offset(graph_.end);
    return grpc::Status::OK;
  }
  grpc::StatusCode code = grpc::StatusCode::OK;
  int calls = 0;
  int away = 0;  // so many calls

 private:
  Graph& graph_;
};

class ListService final : public v1::RecommendationService::Service {
 public:
  explicit ListService(Graph& graph) : graph_(graph) {}
  grpc::Status Recommend(grpc::ServerContext*, const v1::RecommendRequest* request,
                         v1::RecommendResponse* list) override {
    if (code != grpc::StatusCode::OK) return {code, "no"};
    token = request->consistency_token();
    list->mutable_freshness()->set_applied_offset(graph_.Look());
    return grpc::Status::OK;
  }
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string token;

 private:
  Graph& graph_;
};

// A producer's question is answered where the server has taken what was in the log before it.
class OrderService final : public v1::InteractionService::Service {
 public:
  explicit OrderService(Graph& graph) : graph_(graph) {}
  grpc::Status Ingest(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::IngestResponse, v1::IngestRequest>* stream) override {
    if (++calls <= away) return {grpc::StatusCode::UNAVAILABLE, "the brokers are away"};
    v1::IngestRequest request;
    while (stream->Read(&request)) {
      graph_.end = std::max(graph_.end, in_order);
      stream->Write(v1::IngestResponse());
    }
    return grpc::Status::OK;
  }
  int64_t in_order = 0;
  int calls = 0;
  int away = 0;  // so many calls

 private:
  Graph& graph_;
};

class VisibilityTest : public testing::Test {
 protected:
  absl::Status Await(int64_t offset, milliseconds max = kLong) {
    return AwaitVisible(client_, {.offset = offset, .consistency_token = "token"}, max,
                        [this] { return stopped_; });
  }

  Graph graph_;
  StatusService status_{graph_};
  ListService lists_{graph_};
  OrderService order_{graph_};
  LoopbackServer server_{&status_, &lists_, &order_};
  Client client_{{.address = server_.address(), .timeout = milliseconds(60'000)}};
  bool stopped_ = false;
};

TEST_F(VisibilityTest, EndsOnceTheGraphHasIt) {
  EXPECT_TRUE(Await(3).ok());
  EXPECT_EQ(graph_.applied, 3);
}

TEST_F(VisibilityTest, WhoHasNoRightToTheStatusAsksForAList) {
  for (const auto code : {grpc::StatusCode::PERMISSION_DENIED, grpc::StatusCode::UNIMPLEMENTED}) {
    graph_.applied = 0;
    status_.code = code;
    EXPECT_TRUE(Await(3).ok());
    EXPECT_EQ(graph_.applied, 3);
    EXPECT_EQ(lists_.token, "token");
  }
}

TEST_F(VisibilityTest, WhoMayAskNeitherIsToldSoAtOnce) {
  status_.code = lists_.code = grpc::StatusCode::PERMISSION_DENIED;
  EXPECT_TRUE(absl::IsPermissionDenied(Await(3)));
}

TEST_F(VisibilityTest, BehindTheTimeItSaysHowFarTheGraphIs) {
  graph_.applied = graph_.end;  // however often it is asked within the time
  const absl::Status late = Await(6, milliseconds(50));
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  EXPECT_THAT(std::string(late.message()), HasSubstr("at offset 5"));
}

TEST_F(VisibilityTest, AStopEndsIt) {
  stopped_ = true;
  EXPECT_TRUE(absl::IsCancelled(Await(6)));
}

TEST_F(VisibilityTest, AnErrorThatDoesNotPassIsNotWaitedFor) {
  status_.code = grpc::StatusCode::NOT_FOUND;
  EXPECT_TRUE(absl::IsNotFound(Await(6)));
}

TEST_F(VisibilityTest, TheLogsEndIsAskedForUntilTheServerIsThere) {
  const auto ask = [&](milliseconds retry_for) {
    return AskLogEnd(client_, 5, retry_for, [this] { return stopped_; });
  };
  status_.away = 2;
  EXPECT_EQ(*ask(kLong), 5);
  EXPECT_EQ(status_.calls, 3);
  status_.away = 100;
  EXPECT_TRUE(absl::IsUnavailable(ask(milliseconds(0)).status()));
  stopped_ = true;
  EXPECT_TRUE(absl::IsUnavailable(ask(kLong).status()));
  status_.code = grpc::StatusCode::UNIMPLEMENTED;
  EXPECT_TRUE(absl::IsPermissionDenied(ask(kLong).status()));
}

TEST_F(VisibilityTest, AServerThatIsBehindASharedLogIsAskedOnceItHasTakenIt) {
  const auto ask = [&](int64_t expected, milliseconds retry_for) {
    return AskLogEnd(client_, expected, retry_for, [] { return false; });
  };
  EXPECT_EQ(*ask(5, kLong), 5);
  EXPECT_EQ(order_.calls, 0) << "it is as far as expected";
  EXPECT_EQ(*ask(6, kLong), 5) << "its log is another";
  order_.in_order = 9;
  order_.away = order_.calls + 2;
  EXPECT_EQ(*ask(7, kLong), 9);
  order_.away = 1'000;
  EXPECT_TRUE(absl::IsUnavailable(ask(10, milliseconds(0)).status())) << "nobody knows";
}

}  // namespace
}  // namespace groundswell
