#include "client/quickstart/log_scan.h"

#include <gmock/gmock.h>

#include <sstream>

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

absl::Status Scan(const std::string& text, LogScan& scan) {
  std::istringstream input(text);
  EventReader reader(input, {});
  return scan.Read(
      reader, [] { return false; }, [](uint64_t) {});
}

TEST(LogScanTest, ItSaysWhatTheLogHoldsAndWhatItLeavesOut) {
  LogScan scan;
  ASSERT_TRUE(
      Scan("customer_id,sku,event,ts,price\n"
           "ann,mug,Add to cart,2019-10-01T00:00:09Z,1\nbob,bag,view,2019-10-01 00:00:07,1\n"
           "ann,bag,view,2019-10-01T00:00:08Z,1\n,bag,view,2019-10-01T00:00:08Z,1\n",
           scan)
          .ok());
  EXPECT_EQ(scan.users(), 2u);
  EXPECT_EQ(scan.items(), 2u);
  EXPECT_EQ(scan.newest_user, "ann");
  EXPECT_THAT(scan.types, ElementsAre(Pair("add_to_cart", 1), Pair("view", 2)));
  EXPECT_EQ(WeightsOf(scan).at("add_to_cart"), 1);
  EXPECT_EQ(WeightsOf(scan).at("return"), -1);
  const std::string text = Describe(scan, "shop.csv");
  for (const char* part :
       {"shop.csv: CSV separated by ,", "customer_id", "2 users", "sku", "2 items",
        "ISO 8601, ISO 8601 without a zone (taken as UTC)",
        "2019-10-01T00:00:07Z to 2019-10-01T00:00:09Z", "add_to_cart 1, view 2",
        "passed over: price", "3 interactions, to be sorted by time; 1 of 4 records left out",
        "customer_id empty; record 4"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST(LogScanTest, ALogWithoutInteractionsIsRefused) {
  LogScan empty;
  EXPECT_THAT(std::string(Scan("ts,user,item\n", empty).message()), HasSubstr("no record"));
  LogScan bad;
  const absl::Status none = Scan("ts,user,item\nnoon,u,i\n", bad);
  EXPECT_EQ(none.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(none.message()), HasSubstr("noon"));
  LogScan stopped;
  std::istringstream input("ts,user,item\n1,u,i\n");
  EventReader reader(input, {});
  EXPECT_TRUE(absl::IsCancelled(stopped.Read(
      reader, [] { return true; }, [](uint64_t) {})));
}

TEST(LogScanTest, AColumnOfTooManyTypesIsNoTypeColumn) {
  std::string text = "ts,user,item,event\n";
  for (int i = 0; i < 40; ++i) text += "1,u,i,event-" + std::to_string(i) + "\n";
  LogScan scan;
  const absl::Status status = Scan(text, scan);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"event\""));
  EXPECT_THAT(std::string(status.message()), HasSubstr("--type"));
}

TEST(LogScanTest, ATypeIsNamedAsAServerKnowsIt) {
  EXPECT_EQ(ServerTypeOf("Add to Cart"), "add_to_cart");
  EXPECT_EQ(ServerTypeOf("page-view"), "page_view");
  EXPECT_EQ(ServerTypeOf(std::string(100, 'X')).size(), 32u);
  // The log's own types have their places where there is no room for all.
  LogScan scan;
  for (int i = 0; i < 32; ++i) scan.types["t" + std::to_string(i)] = 1;
  EXPECT_EQ(WeightsOf(scan).size(), LogScan::kTypesMax);
  for (const auto& [type, count] : scan.types) EXPECT_TRUE(WeightsOf(scan).contains(type));
}

}  // namespace
}  // namespace groundswell
