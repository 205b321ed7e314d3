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

TEST(CsvReaderTest, AByteOrderMarkIsPassedOver) {
  const Read read = ReadAll(
      "\xEF\xBB\xBF"
      "a,b\n1,2\n");
  EXPECT_TRUE(read.end.ok()) << read.end;
  EXPECT_THAT(read.records, ElementsAre(ElementsAre("a", "b"), ElementsAre("1", "2")));
}

// A pipe whose writer waits behind each line: who asks for more than the line would wait with it.
class SlowPipe final : public std::streambuf {
 public:
  explicit SlowPipe(std::vector<std::string> lines) : lines_(std::move(lines)) {}
  size_t asked_beyond_line() const { return next_; }

 protected:
  int_type underflow() override {
    if (next_ == lines_.size()) return traits_type::eof();
    std::string& line = lines_[next_++];
    setg(line.data(), line.data(), line.data() + line.size());
    return traits_type::to_int_type(line.front());
  }

 private:
  std::vector<std::string> lines_;
  size_t next_ = 0;
};

TEST(CsvReaderTest, ARecordIsThereBeforeTheNextOneWasWritten) {
  SlowPipe pipe({"a,b\n", "1,2\n", "3,4\n"});
  std::istream input(&pipe);
  CsvReader reader(input);
  for (size_t lines = 1; lines <= 3; ++lines) {
    ASSERT_TRUE((*reader.Next()).has_value());
    EXPECT_EQ(pipe.asked_beyond_line(), lines);
  }
  EXPECT_FALSE((*reader.Next()).has_value());
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
