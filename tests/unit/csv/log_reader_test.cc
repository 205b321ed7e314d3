#include "csv/log_reader.h"

#include <gmock/gmock.h>
#include <zlib.h>
#include <zstd.h>

#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "csv/event_sorter.h"
#include "csv/log_input.h"
#include "csv/utf8.h"

namespace groundswell {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct LogRead {
  std::vector<std::string> events;  // "time user item", with type and weight where they are there
  std::vector<std::string> bad;
  absl::Status end;
  LogSummary summary;
  LogShape shape;
};

std::string Shown(const LogEvent& event) {
  std::string text =
      std::to_string(event.time_us / 1'000'000) + " " + event.user + " " + event.item;
  if (!event.type.empty()) text += " " + event.type;
  if (event.weight.has_value()) text += " *" + std::to_string(*event.weight);
  return text;
}

LogRead ReadLog(std::istream& input, LogReader::Options options = {}) {
  LogReader reader(input, std::move(options));
  LogRead read;
  while (true) {
    const auto event = reader.Next();
    if (absl::IsInvalidArgument(event.status()) && !reader.ended()) {
      read.bad.emplace_back(event.status().message());
      continue;
    }
    read.end = event.status();
    if (!event.ok() || !event->has_value()) break;
    read.events.push_back(Shown(**event));
  }
  if (!read.end.ok()) {
    EXPECT_TRUE(reader.ended());
    EXPECT_EQ(reader.Next().status(), read.end) << "it is said again";
  }
  read.summary = reader.summary();
  read.shape = reader.shape();
  return read;
}

LogRead ReadLog(const std::string& text, LogReader::Options options = {}) {
  std::istringstream input(text);
  return ReadLog(input, std::move(options));
}

TEST(LogReaderTest, TheColumnsAreFoundByTheNamesInUse) {
  const char* const logs[] = {
      "timestamp,user,item\n7,u,i\n",
      "customer_id,sku,event,ts\nu,i,view,1970-01-01T00:00:07Z\n",
      "timestamp,visitorid,event,itemid,transactionid\n7,u,view,i,\n",
      "userId,movieId,rating,timestamp\nu,i,4.5,7\n",
      "event_time,event_type,product_id,category_id,brand,user_id\n"
      "1970-01-01 00:00:07 UTC,view,i,1,,u\n",
      "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu\ti\t4\t7\n",
      "\"Customer ID\";\"Stock-Code\";\"Invoice Date\"\r\n\"u\";\"i\";\"1970-01-01 00:00:07\"\r\n",
      "reviewerID|asin|unixReviewTime\nu|i|7\n",
      "\xEF\xBB\xBF\n\ntime,user,item\n7,u,i\n",
      "{\"visitor_id\":\"u\",\"sku\":\"i\",\"ts\":7}\n"};
  for (const char* log : logs) {
    const LogRead read = ReadLog(log);
    EXPECT_TRUE(read.end.ok()) << log << read.end;
    ASSERT_EQ(read.events.size(), 1u) << log << (read.bad.empty() ? "" : read.bad[0]);
    EXPECT_THAT(read.events[0], testing::StartsWith("7 u i")) << log;
    EXPECT_EQ(read.shape.columns[kUserField].empty(), false) << log;
  }
  const LogRead shop = ReadLog(logs[1]);
  EXPECT_THAT(shop.events, ElementsAre("7 u i view"));
  EXPECT_THAT(shop.shape.columns, ElementsAre("ts", "customer_id", "sku", "event", "", "", ""));
  EXPECT_THAT(ReadLog(logs[2]).shape.others, ElementsAre("transactionid"));
  EXPECT_EQ(ReadLog(logs[6]).shape.format, "CSV separated by ;");
}

TEST(LogReaderTest, WhatIsNamedGoesBeforeWhatIsKnown) {
  const std::string log = "user_id,session,item,parent,ts,how,n\nu,s,i,p,7,buy,3\n";
  LogReader::Options options;
  options.columns[kUserField] = "session";
  options.columns[kItemField] = "parent";
  options.columns[kTypeField] = "how";
  options.columns[kWeightField] = "n";
  EXPECT_THAT(ReadLog(log, options).events, ElementsAre("7 s p buy *3"));
  options.columns[kTypeField].clear();
  options.type_column_or_type = "how";
  EXPECT_THAT(ReadLog(log, options).events, ElementsAre("7 s p buy *3"));
  options.type_column_or_type = "purchase";
  EXPECT_THAT(ReadLog(log, options).events, ElementsAre("7 s p *3"));
  // The same by keys.
  options.type_column_or_type.clear();
  options.columns[kTypeField] = "how";
  EXPECT_THAT(
      ReadLog(
          "{\"user_id\":\"u\",\"session\":\"s\",\"parent\":\"p\",\"ts\":7,\"how\":\"buy\",\"n\":3}",
          options)
          .events,
      ElementsAre("7 s p buy *3"));
}

TEST(LogReaderTest, AColumnThatCannotBeToldIsNamedWithThoseThatThereAre) {
  for (const auto& [log, parts] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"ts,user,thing\n7,u,i\n", {"item", "\"thing\"", "--item"}},
           {"when,user,item\n7,u,i\n", {"timestamp", "\"when\"", "--time"}},
           {"1::1193::5::978300760\n", {"1::1193", "--columns"}},
           {"[{\"user\":1}]", {"jq"}}}) {
    const LogRead read = ReadLog(log);
    EXPECT_EQ(read.end.code(), absl::StatusCode::kInvalidArgument) << log;
    for (const std::string& part : parts) {
      EXPECT_THAT(std::string(read.end.message()), HasSubstr(part)) << log;
    }
  }
  LogReader::Options options;
  options.columns[kUserField] = "costumer";
  const LogRead read = ReadLog("ts,customer,item\n7,u,i\n", options);
  EXPECT_EQ(read.end.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(read.end.message()), HasSubstr("\"costumer\""));
  EXPECT_THAT(std::string(read.end.message()), HasSubstr("\"customer\""));
  EXPECT_EQ(ReadLog("").end.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReadLog("\n \n").end.code(), absl::StatusCode::kDataLoss);
}

TEST(LogReaderTest, AColumnThatHoldsTwoFieldsOrIsThereTwiceIsRefused) {
  EXPECT_THAT(std::string(ReadLog("ts,user,user,item\n7,u,v,i\n").end.message()),
              HasSubstr("several columns are called \"user\""));
  EXPECT_TRUE(ReadLog("ts,user,n,n,item\n7,u,1,2,i\n").end.ok()) << "of what nobody reads";
  LogReader::Options options;
  options.columns[kUserField] = "item";
  options.columns[kItemField] = "item";
  EXPECT_THAT(std::string(ReadLog("ts,user,item\n7,u,i\n", options).end.message()),
              HasSubstr("both the user and the item"));
}

TEST(LogReaderTest, AWeightMayBeTheRatingAndRatingsThatNobodyReadMayBeTwice) {
  LogReader::Options options;
  options.columns[kWeightField] = options.columns[kRatingField] = "rating";
  options.rating_min = 3;
  const LogRead both = ReadLog("ts,user,item,rating\n7,u,i,5\n8,u,i,2\n", options);
  EXPECT_TRUE(both.end.ok()) << both.end;
  ASSERT_EQ(both.events.size(), 1u);
  EXPECT_THAT(both.events[0], testing::EndsWith("5"));
  EXPECT_TRUE(ReadLog("ts,user,item,score,score\n7,u,i,5,5\n").end.ok());
  options = {};
  options.rating_min = 3;
  EXPECT_THAT(std::string(ReadLog("ts,user,item,score,score\n7,u,i,5,5\n", options).end.message()),
              HasSubstr("several columns are called \"score\""));
}

TEST(LogReaderTest, DatesWithoutSeparatorsAreNoNumbersOfAnotherTime) {
  const LogRead dates = ReadLog("ts,user,item\n20111122,u,i\n20111322,u,i\n2011-11-22,u,i\n");
  EXPECT_EQ(dates.bad.size(), 2u);
  EXPECT_THAT(dates.bad[0], HasSubstr("write it as 2011-11-22"));
  EXPECT_EQ(dates.events.size(), 1u);
  const LogRead minutes = ReadLog("ts,user,item\n202102131030,u,i\n202113991031,u,i\n");
  ASSERT_EQ(minutes.bad.size(), 2u) << "what is no date too, as the first tells what they are";
  EXPECT_THAT(minutes.bad[0], HasSubstr("write it as 2021-02-13T10:30"));
  for (const char* const text : {"2021", "2021021310", "20210213103000", "20210213103000123"}) {
    const std::string time(text);
    EXPECT_EQ(ReadLog("ts,user,item\n" + time + ",u,i\n").bad.size(), 1u) << text;
    EXPECT_EQ(ReadLog("{\"ts\":" + time + ",\"user\":\"u\",\"item\":\"i\"}\n").bad.size(), 1u);
  }
  const LogRead seconds = ReadLog("ts,user,item\n7,u,i\n20111122,u,i\n2021,u,i\n");
  EXPECT_EQ(seconds.events.size(), 3u) << "of a log that began at 0";
}

TEST(LogReaderTest, NumbersOfDatesInSpreadsheetsAreNoSecondsOf1970) {
  const LogRead dates = ReadLog("ts,user,item\n40867.354166666664,u,i\n40868,u,i\n40868.5,u,i\n");
  ASSERT_EQ(dates.bad.size(), 3u) << "the whole day too, as the others tell what it is";
  EXPECT_THAT(dates.bad[0], HasSubstr("yyyy-mm-dd hh:mm:ss"));
  const LogRead whole_days = ReadLog("ts,user,item\n40867,u,i\n40867.0,u,i\n");
  EXPECT_EQ(whole_days.bad.size(), 2u);
  for (const char* const seconds : {"0.0", "1322000000.5", "30000.5", "60000.5"}) {
    const LogRead read = ReadLog("ts,user,item\n" + std::string(seconds) + ",u,i\n");
    EXPECT_THAT(read.bad, ElementsAre()) << seconds;
  }
  EXPECT_THAT(ReadLog("ts,user,item\n0.0,u,i\n40867.5,u,i\n").bad, ElementsAre())
      << "of a log that began at 0";
}

// Others would have the id of the same thing as a text of its digits.
TEST(LogReaderTest, IdsOfJsonAreTextsOrWholeNumbers) {
  const LogRead read = ReadLog(
      "{\"ts\":7,\"user\":18446744073709551615,\"item\":\"i\"}\n"
      "{\"ts\":7.5,\"user\":123456789012345678901,\"item\":\"i\"}\n"
      "{\"ts\":7,\"user\":true,\"item\":\"i\"}\n{\"ts\":7,\"user\":\"u\",\"item\":1.5}\n");
  EXPECT_THAT(read.events, ElementsAre("7 18446744073709551615 i"));
  ASSERT_EQ(read.bad.size(), 3u);
  EXPECT_THAT(read.bad[0],
              AllOf(HasSubstr("record 2: user is"), HasSubstr("a string, or a whole")));
  EXPECT_THAT(read.bad[1], HasSubstr("user is \"true\""));
  EXPECT_THAT(read.bad[2], HasSubstr("item is \"1.5\""));
}

TEST(LogReaderTest, QuotationsBetweenTabsAreThoseOfCsv) {
  const LogRead read = ReadLog(
      "ts\tuser\titem\n7\tu\t\"5\"\" pipe\"\n7\tu\t5\" pipe\n7\tu\t\"open\n7\tu\t\"a\" b\"\n"
      "7\tu\t\"\n8\tu\t\"whole\"\n");
  EXPECT_THAT(read.events, ElementsAre("7 u 5\" pipe", "7 u 5\" pipe", "8 u whole"));
  ASSERT_EQ(read.bad.size(), 3u);
  EXPECT_THAT(read.bad[0], HasSubstr("record 3: the line is"));
  const LogRead other_column = ReadLog("ts\tuser\titem\tquery\n7\tu\ti\t\"blue lamp\" cheap\n");
  EXPECT_THAT(other_column.events, ElementsAre("7 u i")) << "a column that nobody takes";
}

TEST(LogReaderTest, AKeyOfJsonIsThereOnceAndIsOneField) {
  const LogRead twice = ReadLog(
      "{\"ts\":7,\"user\":\"u\",\"item\":1}\n{\"ts\":7,\"user\":\"u\",\"user\":\"v\",\"item\":1}\n"
      "{\"ts\":8,\"user\":\"u\",\"item\":2}\n");
  EXPECT_THAT(twice.events, ElementsAre("7 u 1", "8 u 2"));
  ASSERT_EQ(twice.bad.size(), 1u);
  EXPECT_THAT(twice.bad[0], HasSubstr("the key \"user\" is there more than once"));
  const LogRead unread = ReadLog(
      "{\"ts\":7,\"user\":\"u\",\"n\":1,\"n\":2,\"of\":{\"user\":1,\"user\":2},\"item\":1}\n");
  EXPECT_THAT(unread.events, ElementsAre("7 u 1")) << "what nobody reads";
  const LogRead rated = ReadLog("{\"ts\":7,\"user\":\"u\",\"item\":1,\"score\":1,\"score\":2}\n");
  EXPECT_THAT(rated.events, ElementsAre("7 u 1")) << "no least rating was asked for";
  LogReader::Options options;
  options.columns[kUserField] = "id";
  options.columns[kItemField] = "id";
  const LogRead both = ReadLog("{\"ts\":7,\"id\":\"u\"}\n", options);
  EXPECT_THAT(std::string(both.end.message()), HasSubstr("both the user and the item"));
  options = {};
  options.columns[kUserField] = "item";
  const LogRead found = ReadLog("{\"ts\":7,\"item\":\"u\",\"sku\":\"i\"}\n", options);
  EXPECT_THAT(found.events, ElementsAre("7 u i")) << "what is named for the user is no item";
  EXPECT_EQ(ReadLog("{\"ts\":7,\"item\":\"u\"}\n", options).bad.size(), 1u);
  options = {};
  options.columns[kWeightField] = "rating";
  options.rating_min = 3;
  EXPECT_THAT(ReadLog("{\"ts\":7,\"user\":1,\"item\":2,\"rating\":5}\n", options).events,
              ElementsAre("7 1 2 *5"));
}

TEST(LogReaderTest, WhatIsNoTextSaysWhatItIs) {
  constexpr char kUtf16[] = "\xff\xfet\0s\0,\0u\0s\0e\0r\0,\0i\0t\0e\0m\0\n\0";
  const std::string utf16(kUtf16, sizeof kUtf16 - 1);
  std::string tar(512, '\0');
  tar.replace(0, 10, "events.csv").replace(257, 5, "ustar");
  for (const auto& [bytes, what] : std::vector<std::pair<std::string, std::string>>{
           {utf16, "UTF-16"},
           {utf16.substr(2), "UTF-16"},
           {"PK\x03\x04 and more", ".xlsx"},
           {std::string("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", 10), ".xls"},
           {std::string("PAR1\x15\0\n", 7), "Parquet"},
           {tar, "is a tar archive; it must be CSV or JSON lines: unpack it"},
           {tar.substr(0, 200), "is no text"},
           {"BZh91AY&SY and more", "bunzip2"}}) {
    const LogRead read = ReadLog(bytes);
    EXPECT_EQ(read.end.code(), absl::StatusCode::kInvalidArgument) << what;
    EXPECT_THAT(std::string(read.end.message()), HasSubstr(what));
  }
  EXPECT_THAT(ReadLog("BZh9,ts,user,item\nx,7,u,i\n").events, ElementsAre("7 u i"));
  EXPECT_THAT(ReadLog("\xef\xbb\xbfts,user,item\n7,u,\xd0\xcf\n").bad.size(), 1u);
}

TEST(LogReaderTest, RatingsThatAreToDecideMustBeThere) {
  LogReader::Options options;
  options.rating_min = 4;
  EXPECT_THAT(std::string(ReadLog("ts,user,item\n7,u,i\n", options).end.message()),
              HasSubstr("--rating-column"));
  const LogRead lines = ReadLog("{\"ts\":7,\"user\":\"u\",\"item\":\"i\"}\n", options);
  EXPECT_THAT(std::string(lines.end.message()), HasSubstr("none of the 1 records had a rating"));
  options.rating_min = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(ReadLog("ts,user,item,rating\n7,u,i,5\n", options).end.code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(LogReaderTest, ALogWithoutAHeaderIsToldItsColumns) {
  LogReader::Options options;
  options.header = {"user", "item", "rating", "timestamp"};
  EXPECT_THAT(ReadLog("u::i::5::7\nv::j::3::8\n", options).events, ElementsAre("7 u i", "8 v j"));
  EXPECT_THAT(ReadLog("u\ti\t5\t7\n", options).events, ElementsAre("7 u i"));
  options.rating_min = 4;
  const LogRead read = ReadLog("u,i,5,7\nv,j,3,8\nw,k,x,9\n", options);
  EXPECT_THAT(read.events, ElementsAre("7 u i"));
  EXPECT_EQ(read.bad.size(), 1u) << "what is rated lower is passed over, as was asked for";
  EXPECT_EQ(read.summary.left_out_records(), 2u);
  EXPECT_EQ(read.summary.bad_records(), 1u);
  EXPECT_EQ(read.summary.left_out.at("rating below the least").records, 1u);
}

TEST(LogReaderTest, ItCountsWhatItReadAndWhatItLeftOutAndWhy) {
  const LogRead read = ReadLog(
      "ts,user,item,weight\n"
      "9,u,i,\n,u,i,\n8,u,i,2.0\nnoon,u,i,\n7,,i,\n7,u,\xff,\n7,u,i,1.5\n7,u\n2011-11-22,v,i,\n");
  EXPECT_THAT(read.events, ElementsAre("9 u i", "8 u i *2", "1321920000 v i"));
  EXPECT_EQ(read.summary.records, 9u);
  EXPECT_EQ(read.summary.events, 3u);
  EXPECT_EQ(read.summary.left_out_records(), 6u);
  EXPECT_EQ(read.summary.out_of_order, 1u);
  EXPECT_EQ(read.summary.times[static_cast<size_t>(TimeForm::kSeconds)], 2u);
  EXPECT_EQ(read.summary.times[static_cast<size_t>(TimeForm::kDate)], 1u);
  std::vector<std::string> reasons;
  for (const auto& [reason, left_out] : read.summary.left_out) {
    EXPECT_EQ(left_out.records, 1u) << reason;
    EXPECT_THAT(left_out.first, testing::StartsWith("record ")) << reason;
    reasons.push_back(reason);
  }
  EXPECT_THAT(reasons, ElementsAre("another number of fields than the header",
                                   "item that is not UTF-8", "ts empty", "ts that is no time",
                                   "user empty", "weight that is no weight"));
  EXPECT_EQ(read.bad[0].find("record 2: ts is \"\""), 0u) << read.bad[0];
}

TEST(LogReaderTest, KeysOfJsonMayComeLaterAndOneThatIsMissingIsOneRecords) {
  const LogRead read = ReadLog(
      "{\"user\":\"u\",\"ts\":7}\n{\"user\":\"u\",\"item\":1,\"ts\":7}\n"
      "{\"user\":\"u\",\"item\":2,\"ts\":8,\"weight\":3}\n{\"user\":\"u\",\"ts\":7}\n");
  EXPECT_THAT(read.events, ElementsAre("7 u 1", "8 u 2 *3"));
  ASSERT_EQ(read.bad.size(), 2u);
  EXPECT_THAT(read.bad[0], HasSubstr("--item"));
  EXPECT_THAT(read.bad[1], HasSubstr("item is \"\""));
}

std::string Gzipped(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstandard(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
  return out;
}

TEST(LogInputTest, CompressedLogsReadAsIfTheyWereNot) {
  std::string text = "ts,user,item\n";
  for (int i = 0; i < 30'000; ++i) text += "7,user-" + std::to_string(i) + ",i\n";
  const std::string rest = "7,last,i\n";
  for (const std::string& bytes :
       {text + rest, Gzipped(text) + Gzipped(rest), Zstandard(text) + Zstandard(rest)}) {
    std::istringstream file(bytes);
    LogInput input;
    ASSERT_TRUE(input.Open(file).ok());
    const LogRead read = ReadLog(input.stream());
    EXPECT_TRUE(read.end.ok()) << read.end;
    ASSERT_EQ(read.events.size(), 30'001u);
    EXPECT_EQ(read.events.back(), "7 last i");
    if (bytes != text + rest) {
      EXPECT_EQ(input.compressed_bytes_read(), bytes.size());
    }
  }
}

TEST(LogInputTest, DamageIsNoEndOfTheLog) {
  std::string text = "ts,user,item\n";
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i) + ",user,i\n";
  for (std::string bytes : {Gzipped(text), Zstandard(text)}) {
    for (const bool cut : {true, false}) {
      std::string damaged = bytes;
      if (cut) {
        damaged.resize(damaged.size() / 2);
      } else {
        for (size_t at = damaged.size() / 2; at < damaged.size(); ++at) damaged[at] ^= 0x55;
      }
      std::istringstream file(damaged);
      LogInput input;
      ASSERT_TRUE(input.Open(file).ok());
      const LogRead read = ReadLog(input.stream());
      EXPECT_EQ(read.end.code(), absl::StatusCode::kDataLoss);
      EXPECT_EQ(input.damage().code(), absl::StatusCode::kDataLoss);
      EXPECT_LT(read.events.size(), 100'000u);
    }
  }
}

TEST(LogInputTest, DamageBeforeTheHeadersEndIsNoWrongHeader) {
  const std::string text = "ts,user,item\n7,u,i\n";
  for (const std::string& bytes : {Gzipped(text), Zstandard(text)}) {
    for (const size_t size : {size_t{3}, bytes.size() / 2}) {
      std::istringstream file(bytes.substr(0, size));
      LogInput input;
      ASSERT_TRUE(input.Open(file).ok());
      const LogRead read = ReadLog(input.stream());
      EXPECT_EQ(read.end.code(), absl::StatusCode::kDataLoss) << read.end;
      EXPECT_THAT(std::string(input.damage().message()), HasSubstr("ends in the middle"));
    }
  }
}

TEST(LogInputTest, NoFileIsAnErrorThatSaysSo) {
  EXPECT_EQ(LogInput().Open("/no/such/file").code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(LogInput().Open("/").message()), HasSubstr("directory"));
}

TEST(EventSorterTest, EventsComeInTheOrderOfTimeAndOfTheLog) {
  EventSorter sorter(10'000);
  for (int i = 0; i < 50; ++i) {
    LogEvent event{.record = static_cast<uint64_t>(i),
                   .time_us = 100 - i / 2,
                   .user = "u" + std::to_string(i),
                   .item = "i",
                   .type = "t",
                   .event_id = "e"};
    if (i % 2 == 0) event.weight = -i - 1;
    ASSERT_TRUE(sorter.Add(event));
  }
  sorter.Sort();
  int64_t time_us = 0;
  uint64_t record = 0;
  int events = 0;
  while (const auto event = sorter.Next()) {
    EXPECT_GE(event->time_us, time_us);
    if (event->time_us == time_us) {
      EXPECT_GT(event->record, record);
    }
    EXPECT_EQ(event->user, "u" + std::to_string(event->record));
    EXPECT_EQ(event->weight.has_value(), event->record % 2 == 0);
    time_us = event->time_us;
    record = event->record;
    ++events;
  }
  EXPECT_EQ(events, 50);
  EventSorter full(100);
  EXPECT_TRUE(full.Add({.user = "u"}));
  EXPECT_FALSE(full.Add({.user = std::string(100, 'x')}));
}

TEST(Utf8Test, OnlyWhatProtobufTakesIsUtf8) {
  for (const char* text : {"", "a", "é", "€", "𝄞", "\x7f", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  for (const char* text : {"\xff", "\xc0\x80", "\xc3", "\xe2\x82", "\xed\xa0\x80",
                           "\xf4\x90\x80\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "a\x80"}) {
    EXPECT_FALSE(IsUtf8(text));
  }
  EXPECT_EQ(ShownText("a\nb"), "\"a?b\"");
  EXPECT_THAT(ShownText(std::string(100, 'x')), HasSubstr("…"));
}

}  // namespace
}  // namespace groundswell
