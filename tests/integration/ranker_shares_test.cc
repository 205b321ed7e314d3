// Several rankers at once on a real server: shares of the users, and one that nobody sees.
#include <gmock/gmock.h>

#include <csignal>
#include <functional>
#include <map>
#include <optional>

#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

using ::testing::HasSubstr;

class RankerSharesTest : public testing::Test {
 protected:
  RankerSharesTest() { ImportSample(directory_.File("db")); }

  void Start(std::vector<std::string> flags) {
    stubs_.reset();
    server_.emplace(directory_.File("db"), std::move(flags));
    stubs_.emplace(server_->grpc_address());
  }

  std::string RankerOf(const std::string& user, const std::string& asked_for = "") {
    v1::RecommendRequest request;
    request.set_user_id(user);
    request.set_ranker(asked_for);
    v1::RecommendResponse response;
    const grpc::Status status =
        stubs_->recommend->Recommend(NewContext().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.ranker();
  }

  double Metric(const std::string& name) {
    const std::string text = HttpGet(server_->http_port(), "/metrics");
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  // Customers of the sample.
  const std::vector<std::string> users_ = {"17850", "13047", "12583", "13748", "15100", "15291",
                                           "14688", "17809", "15311", "16098", "18074", "17420",
                                           "16029", "16250", "12431", "17511"};
  TemporaryDirectory directory_;
  std::optional<ServerProcess> server_;
  std::optional<Stubs> stubs_;
};

TEST_F(RankerSharesTest, AUserKeepsTheirRankerAndARequestMayNameAnother) {
  Start({"--ranking.shares=macgnn=50,dot=50", "--ranking.experiment=a"});
  std::map<std::string, std::string> of_user;
  std::map<std::string, int> counts;
  for (const std::string& user : users_) ++counts[of_user[user] = RankerOf(user)];
  EXPECT_GT(counts["macgnn"], 0);
  EXPECT_GT(counts["dot"], 0);
  for (const std::string& user : users_) {
    EXPECT_EQ(RankerOf(user), of_user[user]);
    EXPECT_EQ(RankerOf(user, "dot"), "dot");
  }
  server_->Stop(SIGTERM);
  Start({"--ranking.shares=macgnn=50,dot=50", "--ranking.experiment=a"});
  for (const std::string& user : users_) EXPECT_EQ(RankerOf(user), of_user[user]);
}

TEST_F(RankerSharesTest, TheShadowScoresAndChangesNothing) {
  Start({"--ranking.shadow=dot", "--ranking.shadow_one_in=1"});
  for (const std::string& user : users_) EXPECT_EQ(RankerOf(user), "macgnn");
  RankerOf(users_[0], "dot");  // not compared with itself
  const double lists = static_cast<double>(users_.size());
  double seen = 0;
  EXPECT_TRUE(Becomes([&] {
    seen = 0;
    for (const char* outcome : {"scored", "not_scored", "left_out"}) {
      seen += Metric(std::string("groundswell_shadow_lists_total{outcome=\"") + outcome + "\"}");
    }
    return seen >= lists;
  }));
  EXPECT_EQ(seen, lists);
  const double scored = Metric("groundswell_shadow_lists_total{outcome=\"scored\"}");
  EXPECT_GT(scored, 0);
  EXPECT_EQ(Metric("groundswell_shadow_overlap_ratio_count"), scored);
  const double overlap = Metric("groundswell_shadow_overlap_ratio_sum") / scored;
  EXPECT_GT(overlap, 0);
  EXPECT_LT(overlap, 1) << "two rankers that agree on everything: nothing was compared";
}

TEST_F(RankerSharesTest, ARankerThatTheSnapshotLacksStopsTheStart) {
  for (const std::string flag : {"--ranking.shares=macgnn=50,none=50", "--ranking.shadow=none"}) {
    const Finished run = RunProgram(
        {GROUNDSWELL_SERVER_PROGRAM, "serve", "--server.data_dir=" + directory_.File("db"),
         "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0", flag});
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_THAT(run.output, HasSubstr("\"none\", which snapshot online-retail"));
  }
}

}  // namespace
}  // namespace groundswell
