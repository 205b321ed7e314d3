#include "server/rpc/access.h"

#include <gmock/gmock.h>
#include <grpcpp/test/server_context_test_spouse.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "server/rpc/status_details.h"
#include "tests/support/sha256.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

std::string ClientEntry(const std::string& name, const std::string& token,
                        const std::string& rest) {
  return "[[client]]\nname = \"" + name + "\"\ntoken_sha256 = \"" + Sha256(token) + "\"\n" + rest +
         "\n";
}

class AccessTest : public ::testing::Test {
 protected:
  void Write(const std::string& clients) { std::ofstream(file_, std::ios::trunc) << clients; }
  absl::StatusOr<std::unique_ptr<AccessControl>> Create(
      std::chrono::seconds reload = std::chrono::hours(1)) {
    return AccessControl::Create({.clients_file = file_, .reload = reload}, metrics_.requests());
  }
  // Of a caller who sends this as "authorization"; "" sends none.
  static absl::Status Check(const AccessControl& access, const std::string& authorization,
                            Right right) {
    grpc::ServerContext context;
    grpc::testing::ServerContextTestSpouse call(&context);
    if (!authorization.empty()) call.AddClientMetadata("authorization", authorization);
    return access.Check(context, right);
  }
  // What a look at the file brings.
  static bool Becomes(const std::function<bool()>& condition) {
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition() && std::chrono::steady_clock::now() < patience) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return condition();
  }
  static std::string ReasonOfCheck(const AccessControl& access, const std::string& authorization,
                                   Right right) {
    return ReasonOf(Check(access, authorization, right));
  }

  TemporaryDirectory directory_;
  const std::string file_ = directory_.File("clients.toml");
  Metrics metrics_{std::vector<std::string>{}};
};

TEST_F(AccessTest, WithoutAFileEverybodyMayDoEverything) {
  const auto access = AccessControl::Create({}, metrics_.requests());
  ASSERT_TRUE(access.ok()) << access.status();
  for (const Right right : {Right::kRead, Right::kWrite, Right::kAdmin}) {
    EXPECT_TRUE(Check(**access, "", right).ok());
    EXPECT_TRUE(Check(**access, "Bearer anything", right).ok());
  }
}

TEST_F(AccessTest, ATokenGivesItsRightsAndEveryRefusalItsReason) {
  Write(ClientEntry("shop", "secret", R"(rights = ["read", "write"])"));
  const auto access = Create();
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_TRUE(Check(**access, "Bearer secret", Right::kRead).ok());
  EXPECT_TRUE(Check(**access, "Bearer secret", Right::kWrite).ok());
  EXPECT_EQ(ReasonOfCheck(**access, "Bearer secret", Right::kAdmin), "RIGHT_MISSING");
  EXPECT_EQ(ReasonOfCheck(**access, "", Right::kRead), "CREDENTIALS_MISSING");
  EXPECT_EQ(ReasonOfCheck(**access, "Basic secret", Right::kRead), "CREDENTIALS_MISSING");
  EXPECT_EQ(ReasonOfCheck(**access, "Bearer ", Right::kRead), "CREDENTIALS_UNKNOWN");
  EXPECT_EQ(ReasonOfCheck(**access, "Bearer secret ", Right::kRead), "CREDENTIALS_UNKNOWN");
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("groundswell_rejected_total{reason=\"unauthenticated\"} 4"));
  EXPECT_THAT(text, HasSubstr("groundswell_rejected_total{reason=\"forbidden\"} 1"));
}

TEST_F(AccessTest, TheNameOfTheSchemeIsTakenInAnyCase) {
  Write(ClientEntry("shop", "secret", R"(rights = ["read"])"));
  const auto access = Create();
  ASSERT_TRUE(access.ok()) << access.status();
  for (const char* scheme : {"bearer ", "BEARER ", "bEaReR "}) {
    EXPECT_TRUE(Check(**access, std::string(scheme) + "secret", Right::kRead).ok()) << scheme;
    EXPECT_TRUE((*access)->CheckRight(std::string(scheme) + "secret", {}, Right::kRead).ok());
    EXPECT_EQ(ReasonOfCheck(**access, std::string(scheme) + "SECRET", Right::kRead),
              "CREDENTIALS_UNKNOWN");
  }
}

TEST_F(AccessTest, ARightIsLookedAtWithoutTakingFromTheRate) {
  Write(ClientEntry("slow", "secret", "rights = [\"read\"]\ncalls_per_s = 1"));
  const auto access = Create();
  ASSERT_TRUE(access.ok()) << access.status();
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE((*access)->CheckRight("Bearer secret", {}, Right::kRead).ok());
  }
  EXPECT_TRUE(Check(**access, "Bearer secret", Right::kRead).ok());
  EXPECT_EQ(ReasonOf((*access)->CheckRight("Bearer secret", {}, Right::kWrite)), "RIGHT_MISSING");
  EXPECT_EQ(ReasonOf((*access)->CheckRight("Bearer other", {}, Right::kRead)),
            "CREDENTIALS_UNKNOWN");
  EXPECT_EQ(ReasonOf((*access)->CheckRight("", {}, Right::kRead)), "CREDENTIALS_MISSING");
}

// Over HTTP it is this process that calls, for whoever has the certificate.
TEST_F(AccessTest, ACertificateIsVouchedForByItsClientsName) {
  Write(ClientEntry("shop", "secret", R"(rights = ["read"])") +
        "[[client]]\nname = \"feed\"\ncertificate = \"feed.example\"\nrights = [\"write\"]\n");
  const auto access = Create();
  ASSERT_TRUE(access.ok()) << access.status();
  const std::vector<std::string> names = {"the feed", "feed.example"};
  EXPECT_TRUE((*access)->CheckRight("", names, Right::kWrite).ok());
  EXPECT_EQ(ReasonOf((*access)->CheckRight("", names, Right::kRead)), "RIGHT_MISSING");
  EXPECT_EQ(ReasonOf((*access)->CheckRight("Bearer guess", names, Right::kWrite)),
            "CREDENTIALS_UNKNOWN");
  EXPECT_EQ(ReasonOf((*access)->CheckRight("", {}, Right::kWrite)), "CREDENTIALS_MISSING");
  const std::string vouched = (*access)->Vouch(names);
  EXPECT_THAT(vouched, EndsWith("feed.example"));
  EXPECT_EQ(vouched.size(), 32 + std::string("feed.example").size());
  const auto check = [&](const std::string& said) {
    grpc::ServerContext context;
    grpc::testing::ServerContextTestSpouse call(&context);
    call.AddClientMetadata(AccessControl::kVouchedField, said);
    return (*access)->Check(context, Right::kWrite);
  };
  EXPECT_TRUE(check(vouched).ok());
  for (const std::string& forged : {std::string(), std::string("feed.example"), vouched.substr(1),
                                    std::string(32, '\0') + "feed.example"}) {
    EXPECT_EQ(ReasonOf(check(forged)), "CREDENTIALS_MISSING") << forged;
  }
  EXPECT_EQ((*access)->Vouch(std::vector<std::string>{"another"}), "");
  EXPECT_EQ((*access)->Vouch({}), "");
  // Each process has a secret of its own.
  const auto another = Create();
  ASSERT_TRUE(another.ok()) << another.status();
  EXPECT_NE((*another)->Vouch(names), vouched);
}

TEST_F(AccessTest, WhoCallsTooOftenIsToldWhenToComeBackAndNobodyElseIs) {
  Write(ClientEntry("busy", "busy", "rights = [\"read\"]\ncalls_per_s = 1") +
        ClientEntry("calm", "calm", R"(rights = ["read"])"));
  const auto access = Create();
  ASSERT_TRUE(access.ok()) << access.status();
  absl::Status refused;
  for (int call = 0; call < 10 && refused.ok(); ++call) {
    refused = Check(**access, "Bearer busy", Right::kRead);
  }
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), "RATE_LIMITED");
  EXPECT_EQ(ToRpcStatus(refused).details_size(), 2);  // ErrorInfo and RetryInfo
  for (int call = 0; call < 10; ++call) {
    EXPECT_TRUE(Check(**access, "Bearer calm", Right::kRead).ok());
  }
}

TEST_F(AccessTest, AFileThatCannotBeUsedStopsTheStartAndIsNamed) {
  for (const char* text : {"", "[[client]]\nname = 3\n", "not toml"}) {
    Write(text);
    if (*text == '\0') std::remove(file_.c_str());
    const auto access = Create();
    ASSERT_FALSE(access.ok()) << text;
    EXPECT_THAT(std::string(access.status().message()), HasSubstr(file_));
  }
}

TEST_F(AccessTest, AChangedFileIsReadAgainAndABrokenOneChangesNothing) {
  Write(ClientEntry("shop", "old", R"(rights = ["read"])"));
  const auto access = Create(std::chrono::seconds(1));
  ASSERT_TRUE(access.ok()) << access.status();
  Write("not toml");
  EXPECT_TRUE(Becomes([&] {
    return metrics_.Render().find("groundswell_access_reload_failures_total 0") ==
           std::string::npos;
  }));
  EXPECT_TRUE(Check(**access, "Bearer old", Right::kRead).ok());
  Write(ClientEntry("shop", "new", R"(rights = ["read"])"));
  EXPECT_TRUE(Becomes([&] { return Check(**access, "Bearer new", Right::kRead).ok(); }));
  EXPECT_EQ(ReasonOfCheck(**access, "Bearer old", Right::kRead), "CREDENTIALS_UNKNOWN");
}

// As when a change is taken back, and made again: also where a copy brings the old times with it.
TEST_F(AccessTest, AFileThatIsAsItWasBeforeCountsAgain) {
  const auto entry = [](const std::string& token) {
    return ClientEntry("shop", token, R"(rights = ["read"])");
  };
  Write(entry("first"));
  const auto before = std::filesystem::last_write_time(file_);
  const auto access = Create(std::chrono::seconds(1));
  ASSERT_TRUE(access.ok()) << access.status();
  for (const char* token : {"other", "first", "other"}) {
    Write(entry(token));
    std::filesystem::last_write_time(file_, before);
    const std::string bearer = std::string("Bearer ") + token;
    EXPECT_TRUE(Becomes([&] { return Check(**access, bearer, Right::kRead).ok(); })) << token;
    const bool is_first = token == std::string("first");
    EXPECT_EQ(ReasonOfCheck(**access, is_first ? "Bearer other" : "Bearer first", Right::kRead),
              "CREDENTIALS_UNKNOWN");
  }
}

}  // namespace
}  // namespace groundswell
