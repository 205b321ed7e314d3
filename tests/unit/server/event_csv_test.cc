#include "server/offline/event_csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

EventWeights Weights() { return {.of_type = {{"purchase", 3}, {"view", 1}, {"return", -3}}}; }

class EventCsvTest : public testing::Test {
 protected:
  // Reads `text`; what came is in `events_`, e.g. "1 u i".
  absl::Status Read(const std::string& text) {
    const std::string path = directory_.File("log.csv");
    std::ofstream(path, std::ios::binary) << text;
    events_.clear();
    sum_ = 0;
    return ReadEventCsv(path, Weights(), [this](const PastEvent& event) {
      events_.push_back(std::to_string(event.time_s) + " " + event.user_id + " " + event.item_id);
      sum_ += event.weight;
      return absl::OkStatus();
    });
  }

  void ExpectRefused(const std::string& text, const std::string& where, const std::string& why) {
    const absl::Status status = Read(text);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("log.csv: " + where)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why)) << text;
  }

  TemporaryDirectory directory_;
  std::vector<std::string> events_;
  Count sum_ = 0;  // of the weights
};

TEST_F(EventCsvTest, AQuotationThatIsOpenAtTheEndIsNoEndOfTheLog) {
  ExpectRefused("timestamp,user,item\n1,u,i\n2,u,\"j\n3,u,k\n", "behind record 1: ", "quotation");
  EXPECT_THAT(events_, ElementsAre("1 u i"));
}

TEST_F(EventCsvTest, ARecordWithMoreOrFewerFieldsThanTheHeaderIsRefused) {
  ExpectRefused("timestamp,user,item\n1,u,Mug, 5 cl\n", "record 1: ", "4 fields and the header 3");
  ExpectRefused("timestamp,user,item\n1,u,i\n2,u\n", "record 2: ", "2 fields and the header 3");
}

TEST_F(EventCsvTest, WhatAServerWouldNotTakeIsRefused) {
  const std::string header = "timestamp,user,item\n";
  ExpectRefused(header + "1,u,i\n2,a\x1b[31m,i\n", "record 2: ", "control characters");
  ExpectRefused(header + "1,u,\"i\nj\"\n", "record 1: ", "control characters");
  ExpectRefused(header + "1,u," + std::string(300, 'i') + "\n", "record 1: ", "bytes");
  ExpectRefused(header + "1,u,i\n99999999999,u,i\n", "record 2: ", "later than");
  const std::string soon =
      std::to_string(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()) + 60);
  EXPECT_TRUE(Read(header + soon + ",u,\xc3\xa9\n").ok()) << "clocks differ a little";
}

TEST_F(EventCsvTest, WhatIsNoEventIsRefusedByItsLine) {
  ExpectRefused("", "", "empty");
  ExpectRefused("timestamp,user\n", "", "item");
  ExpectRefused("timestamp,user,item\n1.5x,u,i\n", "record 1: ", "1.5x");
  ExpectRefused("timestamp,user,item\n-1,u,i\n", "record 1: ", "-1");
  ExpectRefused("timestamp,user,item\n1,,i\n", "record 1: ", "empty");
  ExpectRefused("timestamp,user,item\n2,u,i\n1,u,i\n", "record 2: ", "time order");
  ExpectRefused("timestamp,user,item\n1,\"u\"x,i\n", "behind record 0: ", "quotation");
}

TEST_F(EventCsvTest, ColumnsStandInAnyOrderAndOthersAreIgnored) {
  const absl::Status status =
      Read("item,price,user,timestamp\r\n\"Mug, 5 cl\",1.5,u,7\r\n\r\ni,,v,7\r\n");
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(events_, ElementsAre("7 u Mug, 5 cl", "7 v i"));
}

TEST_F(EventCsvTest, AnEventWeighsWhatItSaysOrElseWhatItsTypeDoes) {
  const auto weight_of = [this](const std::string& header, const std::string& fields) {
    const absl::Status status = Read("timestamp,user,item" + header + "\n1,u,i" + fields + "\n");
    EXPECT_TRUE(status.ok()) << status;
    return sum_;
  };
  EXPECT_EQ(weight_of("", ""), 3) << "a purchase";
  EXPECT_EQ(weight_of(",type", ",view"), 1);
  EXPECT_EQ(weight_of(",type", ","), 3);
  EXPECT_EQ(weight_of(",type,weight", ",view,-7"), -7);
  EXPECT_EQ(weight_of(",weight,type", ",,return"), -3);
  EXPECT_EQ(weight_of(",type,weight", ",of another configuration,2"), 2);
}

TEST_F(EventCsvTest, ATypeOrWeightThatCannotBeIsRefused) {
  ExpectRefused("timestamp,user,item,type\n1,u,i,look\n", "record 1: ",
                "\"look\" must be one of the configured types, purchase, return, view");
  for (const char* weight : {"0", "1.5", "1000001", "many"}) {
    ExpectRefused(std::string("timestamp,user,item,weight\n1,u,i,") + weight + "\n", "record 1: ",
                  std::string("weight is \"") + weight + "\"; it must be a whole number");
  }
}

TEST_F(EventCsvTest, TheReceiverEndsTheReading) {
  const std::string path = directory_.File("log.csv");
  std::ofstream(path) << "timestamp,user,item\n1,u,i\n2,u,j\n";
  int calls = 0;
  const absl::Status status = ReadEventCsv(path, Weights(), [&](const PastEvent&) {
    ++calls;
    return absl::AbortedError("enough");
  });
  EXPECT_EQ(status, absl::AbortedError("enough"));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(
      ReadEventCsv(path + ".not", Weights(), [](const PastEvent&) { return absl::OkStatus(); })
          .code(),
      absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace groundswell
