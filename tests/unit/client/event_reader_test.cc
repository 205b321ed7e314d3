#include "client/event_reader.h"

#include <gtest/gtest.h>

#include <sstream>

namespace groundswell {
namespace {

struct Read {
  std::vector<v1::Interaction> interactions;
  std::vector<std::string> bad;  // records that were refused
  absl::Status end;              // how reading ended
};

Read ReadAll(const std::string& text, EventFormat format = EventFormat::kCsv) {
  std::istringstream input(text);
  EventReader reader(input, {.format = format, .columns = {}, .id_prefix = "file"});
  Read read;
  while (true) {
    auto event = reader.Next();
    if (absl::IsInvalidArgument(event.status())) {
      read.bad.emplace_back(event.status().message());
      continue;
    }
    read.end = event.status();
    if (!event.ok() || !event->has_value()) return read;
    read.interactions.push_back((*event)->interaction);
  }
}

// One record with one field spoiled must be refused, and the error must name the field.
void ExpectBadRecord(const std::string& field, const std::string& value) {
  std::map<std::string, std::string> row{
      {"timestamp", "1322000000"}, {"user", "u"}, {"item", "i"}, {"weight", "1"}};
  row[field] = value;
  const Read read = ReadAll("timestamp,user,item,weight\n" + row["timestamp"] + "," + row["user"] +
                            "," + row["item"] + "," + row["weight"] + "\n1322000001,good,i,2\n");
  ASSERT_EQ(read.bad.size(), 1u) << field << " = " << value;
  EXPECT_NE(read.bad[0].find(field), std::string::npos) << read.bad[0];
  EXPECT_NE(read.bad[0].find("record 1"), std::string::npos) << read.bad[0];
  ASSERT_EQ(read.interactions.size(), 1u) << "reading goes on behind a bad record";
  EXPECT_EQ(read.interactions[0].user_id(), "good");
}

TEST(EventReaderTest, AnEmptyFileOrAHeaderWithoutAColumnEndsTheReading) {
  EXPECT_EQ(ReadAll("").end.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReadAll("timestamp,user\n1,u\n").end.code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(ReadAll("timestamp,user,item\n").end.ok());
}

TEST(EventReaderTest, AnOpenQuotationDoesNotGatherTheFile) {
  EXPECT_EQ(ReadAll("timestamp,user,item\n1,\"u,i\n2,v,j\n").end.code(),
            absl::StatusCode::kDataLoss);
  const std::string huge = "timestamp,user,item\n1,\"" + std::string(1'000'000, 'x');
  EXPECT_EQ(ReadAll(huge).end.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReadAll(std::string(100'000, ' '), EventFormat::kJsonLines).end.code(),
            absl::StatusCode::kDataLoss);
}

TEST(EventReaderTest, EveryBadFieldIsNamedAndReadingGoesOn) {
  for (const char* time : {"", "yesterday", "-1", "nan", "inf", "1e300", "2011-13-01T00:00:00Z",
                           "infinite-future", "1322000000x"}) {
    ExpectBadRecord("timestamp", time);
  }
  for (const char* weight : {"1.5", "nan", "inf", "x", "99999999999"}) {
    ExpectBadRecord("weight", weight);
  }
  ExpectBadRecord("user", "");
  ExpectBadRecord("item", "\xff\xfe");
}

TEST(EventReaderTest, ARecordWithFewerFieldsThanTheHeaderIsRefused) {
  const Read read = ReadAll("timestamp,user,item\n1,u\n2,v,j\n");
  EXPECT_EQ(read.bad.size(), 1u);
  EXPECT_EQ(read.interactions.size(), 1u);
}

TEST(EventReaderTest, BrokenJsonLinesAreRefusedOneByOne) {
  const Read read = ReadAll(
      "[1]\nnot json\n{\"timestamp\":1,\"user\":{},\"item\":\"i\"}\n"
      "{\"timestamp\":1.25,\"user\":\"u\",\"item\":7,\"type\":\"view\"}\n",
      EventFormat::kJsonLines);
  EXPECT_EQ(read.bad.size(), 3u);
  ASSERT_EQ(read.interactions.size(), 1u);
  EXPECT_EQ(read.interactions[0].item_id(), "7");
  EXPECT_EQ(read.interactions[0].event_time().nanos(), 250'000'000);
  EXPECT_EQ(read.interactions[0].event_type(), "view");
  EXPECT_EQ(read.interactions[0].event_id(), "file:4");
}

TEST(EventReaderTest, QuotedFieldsColumnsInAnyOrderAndDefaults) {
  const Read read = ReadAll(
      "item,extra,user,timestamp,event_id\r\n"
      "\"a,\"\"b\"\"\",x,u,2011-11-22T22:13:20Z,e1\r\n"
      "c,,v,1322000000,\r\n");
  ASSERT_TRUE(read.end.ok()) << read.end;
  ASSERT_EQ(read.interactions.size(), 2u);
  EXPECT_EQ(read.interactions[0].item_id(), "a,\"b\"");
  EXPECT_EQ(read.interactions[0].event_time().seconds(), 1'322'000'000);
  EXPECT_EQ(read.interactions[0].event_id(), "e1");
  EXPECT_EQ(read.interactions[1].event_id(), "file:2");
  EXPECT_EQ(read.interactions[1].event_type(), "purchase");
  EXPECT_FALSE(read.interactions[1].has_weight());
}

}  // namespace
}  // namespace groundswell
