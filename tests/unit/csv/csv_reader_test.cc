#include "csv/csv_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Read {
  std::vector<std::vector<std::string>> records;
  absl::Status end;  // how reading ended
};

Read ReadAll(const std::string& text) {
  std::istringstream input(text);
  CsvReader reader(input);
  Read read;
  while (true) {
    const auto record = reader.Next();
    read.end = record.status();
    if (!record.ok() || !record->has_value()) return read;
    read.records.emplace_back((*record)->begin(), (*record)->end());
  }
}

TEST(CsvReaderTest, AQuotationThatIsOpenAtTheEndIsDamage) {
  for (const char* text : {"a,b\n1,\"2", "a,b\n1,\"2\n3,4\n", "a,b\n1,\"2,3\n"}) {
    const Read read = ReadAll(text);
    EXPECT_EQ(read.end.code(), absl::StatusCode::kDataLoss) << text;
    EXPECT_THAT(std::string(read.end.message()), HasSubstr("quotation"));
    EXPECT_THAT(read.records, ElementsAre(ElementsAre("a", "b"))) << text;
  }
}

TEST(CsvReaderTest, ARecordBeyondTheLimitEndsTheReadingAndStaysTheEnd) {
  std::istringstream input("a\n" + std::string(CsvReader::kRecordBytesMax + 1, 'x') + "\nb\n");
  CsvReader reader(input);
  EXPECT_TRUE(reader.Next().ok());
  for (int call = 0; call < 3; ++call) {
    EXPECT_EQ(reader.Next().status().code(), absl::StatusCode::kDataLoss) << call;
  }
  EXPECT_EQ(ReadAll(std::string(CsvReader::kRecordBytesMax, 'x')).records.size(), 1u);
}

TEST(CsvReaderTest, NothingAtAllIsTheEndAndStaysIt) {
  EXPECT_TRUE(ReadAll("").end.ok());
  EXPECT_TRUE(ReadAll("\n\r\n\n").records.empty());
  std::istringstream input("a\n");
  CsvReader reader(input);
  EXPECT_TRUE(reader.Next()->has_value());
  for (int call = 0; call < 3; ++call) EXPECT_FALSE(reader.Next()->has_value()) << call;
}

TEST(CsvReaderTest, RecordsAreWhatRfc4180Says) {
  const Read read = ReadAll("a,b,c\r\n\"1,\"\"2\"\"\",\"two\nlines\", bare \n,,\n\"last\",x,y");
  EXPECT_TRUE(read.end.ok()) << read.end;
  EXPECT_THAT(read.records,
              ElementsAre(ElementsAre("a", "b", "c"), ElementsAre("1,\"2\"", "two\nlines", "bare"),
                          ElementsAre("", "", ""), ElementsAre("last", "x", "y")));
}

TEST(CsvReaderTest, RecordsThatLieAcrossReadsAreWhole) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "field " + std::to_string(i) + ",\"a,b\",\n";
  const Read read = ReadAll(text);
  ASSERT_TRUE(read.end.ok()) << read.end;
  ASSERT_EQ(read.records.size(), 20'000u);
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_THAT(read.records[static_cast<size_t>(i)],
                ElementsAre("field " + std::to_string(i), "a,b", ""));
  }
}

}  // namespace
}  // namespace groundswell
