#include "server/rpc/client_list.h"

#include <gmock/gmock.h>

#include <string>

namespace groundswell {
namespace {

using testing::HasSubstr;

// SHA-256 of "test", and of "other".
constexpr char kTest[] = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
constexpr char kOther[] = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";

std::string Client(const std::string& name, const std::string& rest) {
  return "[[client]]\nname = \"" + name + "\"\n" + rest + "\n";
}

std::string WithToken(const char* sha256) {
  return std::string("token_sha256 = \"") + sha256 + "\"\nrights = [\"read\"]";
}

TEST(ClientListTest, ClientsAreFoundByTokenAndByCertificate) {
  const auto list = ClientList::Parse(Client("shop", WithToken(kTest)) +
                                      Client("ops",
                                             "certificate = \"ops.example\"\n"
                                             "rights = [\"write\", \"admin\"]\n"
                                             "calls_per_s = 5"));
  ASSERT_TRUE(list.ok()) << list.status();
  const ClientList::Client* shop = list->FindByToken("test");
  ASSERT_NE(shop, nullptr);
  EXPECT_EQ(shop->name, "shop");
  EXPECT_TRUE(shop->Has(Right::kRead));
  EXPECT_FALSE(shop->Has(Right::kWrite));
  EXPECT_FALSE(shop->Has(Right::kAdmin));
  EXPECT_EQ(list->FindByToken("tes"), nullptr);
  EXPECT_EQ(list->FindByToken(""), nullptr);
  EXPECT_EQ(list->FindByToken(kTest), nullptr) << "the digest is no token";
  const ClientList::Client* ops = list->FindByCertificate("ops.example");
  ASSERT_NE(ops, nullptr);
  EXPECT_FALSE(ops->Has(Right::kRead));
  EXPECT_TRUE(ops->Has(Right::kWrite));
  EXPECT_TRUE(ops->Has(Right::kAdmin));
  EXPECT_EQ(list->FindByCertificate("example"), nullptr);
}

TEST(ClientListTest, WhatIsWrongIsNamed) {
  const struct {
    std::string text;
    std::string message;
  } kCases[] = {
      {"", "it has no [[client]]"},
      {"[[client]", "line 1"},
      {"[access]\na = 1", "unknown key \"access\""},
      {"client = 3", "it has no [[client]]"},
      {Client("", WithToken(kTest)), "client \"1\": name is \"\""},
      {Client("a b", WithToken(kTest)), "name is \"a b\""},
      {Client("a", "rights = [\"read\"]"),
       "token_sha256 is \"\": a client has this or a certificate"},
      {Client("a", WithToken(kTest) + "\ncertificate = \"c\""), "and not both"},
      {Client("a", WithToken("9F86")), "64 lower-case hexadecimal digits"},
      {Client("a", WithToken("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")),
       "the digest of an empty token"},
      {Client("a", "token_sha256 = 3\nrights = [\"read\"]"), "it must be text"},
      {Client("a", "certificate = \"c\""), "rights"},
      {Client("a", "certificate = \"c\"\nrights = []"), "rights"},
      {Client("a", "certificate = \"c\"\nrights = [\"root\"]"), "rights is \"root\""},
      {Client("a", WithToken(kTest) + "\ncalls_per_s = 0"), "calls_per_s is \"0\""},
      {Client("a", WithToken(kTest) + "\ncalls_per_s = 1.5"), "calls_per_s"},
      {Client("a", WithToken(kTest) + "\ntoken = \"x\""), "a field is \"token\""},
      {Client("a", WithToken(kTest)) + Client("a", WithToken(kOther)), "another client has it"},
      {Client("a", WithToken(kTest)) + Client("b", WithToken(kTest)),
       "another client has the same"},
  };
  for (const auto& [text, message] : kCases) {
    const auto list = ClientList::Parse(text);
    EXPECT_EQ(list.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(list.status().message()), HasSubstr(message)) << text;
  }
}

TEST(CallRateTest, ABurstOfASecondPassesAndThenTheEvenPace) {
  CallRate rate(10);
  int64_t now_ns = 1'000'000'000'000;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(rate.Take(now_ns).count(), 0) << i;
  const auto wait = rate.Take(now_ns);
  EXPECT_GT(wait.count(), 0);
  EXPECT_LE(wait.count(), 100'000'000);
  EXPECT_EQ(rate.Take(now_ns), wait) << "a refused call costs nothing";
  now_ns += wait.count();
  EXPECT_EQ(rate.Take(now_ns).count(), 0);
  EXPECT_GT(rate.Take(now_ns).count(), 0);
  int passed = 0;
  for (int i = 0; i < 1'000; ++i, now_ns += 10'000'000) passed += rate.Take(now_ns).count() == 0;
  EXPECT_GE(passed, 99);
  EXPECT_LE(passed, 101);
}

TEST(CallRateTest, WithoutALimitEverythingPasses) {
  CallRate rate(0);
  for (int i = 0; i < 100'000; ++i) ASSERT_EQ(rate.Take(5).count(), 0);
}

}  // namespace
}  // namespace groundswell
