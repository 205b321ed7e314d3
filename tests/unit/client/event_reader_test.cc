#include "client/events/event_reader.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <stdexcept>

namespace groundswell {
namespace {

struct Read {
  std::vector<v1::Interaction> interactions;
  std::vector<std::string> bad;  // records that were refused
  absl::Status end;              // how reading ended
};

Read ReadAll(std::istream& input, LogFileFormat format) {
  EventReader reader(input, {.log = {.format = format}, .id_prefix = "file"});
  Read read;
  while (true) {
    auto event = reader.Next();
    if (reader.IsOfRecord(event.status())) {
      read.bad.emplace_back(event.status().message());
      continue;
    }
    read.end = event.status();
    if (!event.ok() || !event->has_value()) return read;
    read.interactions.push_back((*event)->interaction);
  }
}

Read ReadAll(const std::string& text, LogFileFormat format = LogFileFormat::kCsv) {
  std::istringstream input(text);
  return ReadAll(input, format);
}

// A file whose disk fails behind `text`.
class FailingBuffer final : public std::streambuf {
 public:
  explicit FailingBuffer(std::string text) : text_(std::move(text)) {
    setg(text_.data(), text_.data(), text_.data() + text_.size());
  }

 protected:
  int_type underflow() override { throw std::runtime_error("the disk fails"); }

 private:
  std::string text_;
};

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
  EXPECT_EQ(ReadAll("timestamp,user\n1,u\n").end.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(ReadAll("timestamp,user,item\n").end.ok());
}

TEST(EventReaderTest, AnOpenQuotationDoesNotGatherTheFile) {
  EXPECT_EQ(ReadAll("timestamp,user,item\n1,\"u,i\n2,v,j\n").end.code(),
            absl::StatusCode::kDataLoss);
  const std::string huge = "timestamp,user,item\n1,\"" + std::string(1'000'000, 'x');
  EXPECT_EQ(ReadAll(huge).end.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReadAll(std::string(100'000, ' '), LogFileFormat::kJsonLines).end.code(),
            absl::StatusCode::kDataLoss);
}

TEST(EventReaderTest, WhatPrecedesTheDamageIsReadAndTheDamageIsPlaced) {
  for (const std::string& damage :
       {std::string("3,\"open,i\n4,x,j\n"), std::string("3,\"a\"b,i\n4,x,j\n"),
        "3," + std::string(70'000, 'x') + ",i\n4,x,j\n", "3,\"" + std::string(70'000, 'x')}) {
    const Read read = ReadAll("timestamp,user,item\n1,u,i\n2,v,j\n" + damage);
    EXPECT_EQ(read.interactions.size(), 2u) << damage.substr(0, 20);
    EXPECT_EQ(read.end.code(), absl::StatusCode::kDataLoss);
    EXPECT_NE(read.end.message().find("behind record 2"), std::string::npos) << read.end;
  }
}

TEST(EventReaderTest, ARecordLongerThanTheLimitEndsTheReadingAndStaysTheEnd) {
  const std::string longest = "timestamp,user,item\n1," + std::string(65'000, 'x') + ",i\n";
  EXPECT_EQ(ReadAll(longest).interactions.size(), 1u);
  std::istringstream input("timestamp,user,item\n1," + std::string(70'000, 'x') + ",i\n2,v,j\n");
  EventReader reader(input, {});
  for (int call = 0; call < 3; ++call) {
    EXPECT_EQ(reader.Next().status().code(), absl::StatusCode::kDataLoss) << call;
  }
}

TEST(EventReaderTest, WithoutAPrefixARecordsIdIsMadeOfWhatItSays) {
  std::istringstream input("timestamp,user,item,event_id\n1,u,i,one\n2,u,j,\n2,u,j,\n");
  EventReader reader(input, {});
  EXPECT_EQ((*reader.Next())->interaction.event_id(), "one");
  const v1::Interaction second = (*reader.Next())->interaction;
  EXPECT_EQ(second.event_id(), ContentHash(second));
  EXPECT_EQ((*reader.Next())->interaction.event_id(), ContentHash(second) + ":2");
}

TEST(EventReaderTest, AByteOrderMarkIsNoPartOfTheFirstRecord) {
  const std::string mark = "\xEF\xBB\xBF";
  EXPECT_EQ(ReadAll(mark + "timestamp,user,item\n1,u,i\n").interactions.size(), 1u);
  const std::string line = R"({"timestamp": 1, "user": "u", "item": "i"})";
  EXPECT_EQ(ReadAll(mark + line + "\n", LogFileFormat::kJsonLines).interactions.size(), 1u);
}

TEST(EventReaderTest, ADiskThatFailsIsNotTheEndOfTheFile) {
  FailingBuffer csv("timestamp,user,item\n1,u,i\n2,v,");
  std::istream csv_input(&csv);
  const Read read = ReadAll(csv_input, LogFileFormat::kCsv);
  EXPECT_EQ(read.end.code(), absl::StatusCode::kDataLoss) << read.end;
  EXPECT_TRUE(read.bad.empty()) << "half a record is not a record";
  FailingBuffer json("{\"timestamp\":1,\"user\":\"u\",\"item\":\"i\"}\n{\"times");
  std::istream json_input(&json);
  const Read lines = ReadAll(json_input, LogFileFormat::kJsonLines);
  EXPECT_EQ(lines.interactions.size(), 1u);
  EXPECT_EQ(lines.end.code(), absl::StatusCode::kDataLoss) << lines.end;
  EXPECT_TRUE(lines.bad.empty());
}

TEST(EventReaderTest, DeepJsonIsRefusedWithoutRecursion) {
  const std::string open(32'000, '[');
  const std::string close(32'000, ']');
  const Read read =
      ReadAll("{\"user\":" + open + close + "}\n" + open + "\n", LogFileFormat::kJsonLines);
  EXPECT_TRUE(read.end.ok()) << read.end;
  ASSERT_EQ(read.bad.size(), 2u);
  EXPECT_NE(read.bad[0].find("record 1: user"), std::string::npos) << read.bad[0];
}

TEST(EventReaderTest, EveryBadFieldIsNamedAndReadingGoesOn) {
  for (const char* time :
       {"", "yesterday", "-1", "nan", "inf", "1e300", "2011-13-01T00:00:00Z", "infinite-future",
        "infinite-past", "1322000000x", "99999999999999999999", "1969-12-31T23:59:59Z",
        "10000-01-01T00:00:00Z"}) {
    ExpectBadRecord("timestamp", time);
  }
  for (const char* weight : {"1.5", "nan", "inf", "x", "99999999999", "-2147483649"}) {
    ExpectBadRecord("weight", weight);
  }
  ExpectBadRecord("user", "");
  ExpectBadRecord("item", "\xff\xfe");
}

TEST(EventReaderTest, ALongValueIsShownCutBetweenCharacters) {
  std::string value = "x";
  for (int i = 0; i < 100; ++i) value += "é";
  const Read read = ReadAll("timestamp,user,item\n" + value + ",u,i\n");
  ASSERT_EQ(read.bad.size(), 1u);
  EXPECT_NE(read.bad[0].find("\"xéé"), std::string::npos) << read.bad[0];
  EXPECT_LT(read.bad[0].size(), 300u);
}

TEST(EventReaderTest, ARecordWithMoreOrFewerFieldsThanTheHeaderIsRefused) {
  for (const char* record : {"1,u", "1,u,Mug, 5 cl", "1,u,i,"}) {
    const Read read = ReadAll(std::string("timestamp,user,item\n") + record + "\n2,v,j\n");
    ASSERT_EQ(read.bad.size(), 1u) << record;
    EXPECT_NE(read.bad[0].find("record 1: "), std::string::npos) << read.bad[0];
    EXPECT_NE(read.bad[0].find("the header 3"), std::string::npos) << read.bad[0];
    EXPECT_EQ(read.interactions.size(), 1u) << record;
  }
}

TEST(EventReaderTest, BrokenJsonLinesAreRefusedOneByOne) {
  const Read read = ReadAll(
      "[1]\nnot json\n{\"timestamp\":1,\"user\":{},\"item\":\"i\"}\n"
      "{\"timestamp\":1.25,\"user\":\"u\",\"item\":7,\"type\":\"view\"}\n",
      LogFileFormat::kJsonLines);
  EXPECT_EQ(read.bad.size(), 3u);
  ASSERT_EQ(read.interactions.size(), 1u);
  EXPECT_EQ(read.interactions[0].item_id(), "7");
  EXPECT_EQ(read.interactions[0].event_time().nanos(), 250'000'000);
  EXPECT_EQ(read.interactions[0].event_type(), "view");
  EXPECT_EQ(read.interactions[0].event_id(), "file:4");
}

TEST(EventReaderTest, TimesMayHaveFractionsAndOffsets) {
  const Read read = ReadAll(
      "timestamp,user,item\n"
      "1322000000.25,u,i\n"
      "2011-11-22T22:13:20.25Z,u,i\n"
      "2011-11-23T00:13:20.25+02:00,u,i\n"
      "0,u,i\n99999999999,u,i\n");
  ASSERT_TRUE(read.end.ok()) << read.end;
  EXPECT_TRUE(read.bad.empty());
  ASSERT_EQ(read.interactions.size(), 5u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read.interactions[i].event_time().seconds(), 1'322'000'000);
    EXPECT_EQ(read.interactions[i].event_time().nanos(), 250'000'000);
  }
  EXPECT_EQ(read.interactions[3].event_time().seconds(), 0);
  EXPECT_EQ(read.interactions[4].event_time().seconds(), 99'999'999'999);
}

// A file read again must not count twice: ids come from the place in the file, bad records and
// lines within quotations included.
TEST(EventReaderTest, EventIdsAreTheSameWheneverTheFileIsRead) {
  const std::string text = "timestamp,user,item\n1,u,\"two\nlines, one record\"\nbad,v,j\n3,w,k\n";
  const Read first = ReadAll(text);
  const Read second = ReadAll(text);
  EXPECT_EQ(first.bad.size(), 1u);
  ASSERT_EQ(first.interactions.size(), 2u);
  ASSERT_EQ(second.interactions.size(), 2u);
  EXPECT_EQ(first.interactions[0].item_id(), "two\nlines, one record");
  EXPECT_EQ(first.interactions[0].event_id(), "file:1");
  EXPECT_EQ(first.interactions[1].event_id(), "file:3");
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(first.interactions[i].event_id(), second.interactions[i].event_id());
  }
}

TEST(EventReaderTest, RecordsThatLieAcrossReadsAreWhole) {
  std::string text = "timestamp,user,item\n";
  for (int i = 0; i < 20'000; ++i) text += "1322000000,user-" + std::to_string(i) + ",\"a,b\"\n";
  const Read read = ReadAll(text);
  ASSERT_TRUE(read.end.ok()) << read.end;
  ASSERT_EQ(read.interactions.size(), 20'000u);
  for (size_t i = 0; i < 20'000; ++i) {
    ASSERT_EQ(read.interactions[i].user_id(), "user-" + std::to_string(i));
    ASSERT_EQ(read.interactions[i].item_id(), "a,b");
  }
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

TEST(EventReaderTest, SortedEventsComeInTheOrderOfTimeWithTheIdsThatTheyHaveAnyway) {
  const std::string text = "timestamp,user,item\n9,u,i\n7,v,i\nbad,w,i\n7,v,i\n8,x,i\n";
  std::map<std::string, std::string> id_of;  // by user, of the last
  std::istringstream input(text);
  EventReader plain(input, {});
  for (auto event = plain.Next(); !event.ok() || event->has_value(); event = plain.Next()) {
    if (event.ok()) id_of[(*event)->interaction.user_id()] = (*event)->interaction.event_id();
  }
  std::istringstream again(text);
  EventReader sorted(again, {.sort_bytes_max = 10'000});
  EXPECT_TRUE(sorted.IsOfRecord(sorted.Next().status())) << "the bad one";
  std::string users;
  uint64_t record = 0;
  for (auto event = sorted.Next(); event.ok() && event->has_value(); event = sorted.Next()) {
    const v1::Interaction& interaction = (*event)->interaction;
    users += interaction.user_id();
    EXPECT_EQ((*event)->record, ++record);
    if (users != "v") {
      EXPECT_EQ(interaction.event_id(), id_of[interaction.user_id()]);
    }
  }
  EXPECT_EQ(users, "vvxu");
  std::istringstream large(text);
  EventReader bounded(large, {.sort_bytes_max = 60});
  EXPECT_EQ(bounded.Next().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(bounded.ended());
}

}  // namespace
}  // namespace groundswell
