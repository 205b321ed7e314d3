#include "csv/event_time.h"

#include <gtest/gtest.h>

#include <string>

namespace groundswell {
namespace {

constexpr int64_t kUs = 1'322'000'000'000'000;  // 2011-11-22T22:13:20Z

TEST(EventTimeTest, ANumberIsInTheUnitOfItsSize) {
  const struct {
    const char* text;
    TimeForm form;
  } cases[] = {{"1322000000", TimeForm::kSeconds},
               {"1322000000.0", TimeForm::kSeconds},
               {"1322000000000", TimeForm::kMilliseconds},
               {"1322000000000000", TimeForm::kMicroseconds},
               {"1322000000000000000", TimeForm::kNanoseconds},
               {"1.322e9", TimeForm::kSeconds}};
  for (const auto& [text, form] : cases) {
    const auto time = ParseEventTime(text);
    ASSERT_TRUE(time.has_value()) << text;
    EXPECT_EQ(time->us, kUs) << text;
    EXPECT_EQ(time->form, form) << text;
  }
  EXPECT_EQ(ParseEventTime("1322000000.25")->us, kUs + 250'000);
  EXPECT_EQ(ParseEventTime("0")->us, 0);
  EXPECT_EQ(ParseEventTime("99999999999")->form, TimeForm::kSeconds);
  EXPECT_EQ(ParseEventTime("100000000000")->form, TimeForm::kMilliseconds);
}

TEST(EventTimeTest, Iso8601WithAndWithoutAZone) {
  const struct {
    const char* text;
    TimeForm form;
  } cases[] = {{"2011-11-22T22:13:20Z", TimeForm::kZoned},
               {"2011-11-22t22:13:20z", TimeForm::kZoned},
               {"2011-11-22 22:13:20 UTC", TimeForm::kZoned},
               {"2011-11-23T00:13:20+02:00", TimeForm::kZoned},
               {"2011-11-23T00:13:20+0200", TimeForm::kZoned},
               {"2011-11-22T20:13:20-02", TimeForm::kZoned},
               {"2011-11-22 22:13:20", TimeForm::kUtc},
               {"2011/11/22 22:13:20.000", TimeForm::kUtc}};
  for (const auto& [text, form] : cases) {
    const auto time = ParseEventTime(text);
    ASSERT_TRUE(time.has_value()) << text;
    EXPECT_EQ(time->us, kUs) << text;
    EXPECT_EQ(time->form, form) << text;
  }
  EXPECT_EQ(ParseEventTime("2011-11-22T22:13:20.1234567Z")->us, kUs + 123'456);
  EXPECT_EQ(ParseEventTime("2011-11-22T22:13")->us, kUs - 20'000'000);
  EXPECT_EQ(ParseEventTime("2011-11-22")->us, kUs - 80'000'000'000);
  EXPECT_EQ(ParseEventTime("2011-11-22")->form, TimeForm::kDate);
  EXPECT_EQ(ParseEventTime("2012-02-29")->us, 1'330'473'600'000'000);
}

TEST(EventTimeTest, DatesWithoutSeparatorsHaveAnExtendedForm) {
  const struct {
    const char* basic;
    const char* extended;
    const char* taken_for;
  } cases[] = {{"2021", "2021-01-01", "Unix seconds it is of 1970"},
               {"202102", "2021-02-01", "Unix seconds it is of 1970"},
               {"20111122", "2011-11-22", "Unix seconds it is of 1970"},
               {"20111122.0", "2011-11-22", "Unix seconds it is of 1970"},
               {"2021021310", "2021-02-13T10:00", "Unix seconds it is of 2034"},
               {"202102131030", "2021-02-13T10:30", "Unix milliseconds it is of 1976"},
               {"20210213103000", "2021-02-13T10:30:00", "Unix milliseconds it is of 2610"},
               {"20210213103000123", "2021-02-13T10:30:00.123", "Unix microseconds it is of 2610"}};
  for (const auto& [basic, extended, taken_for] : cases) {
    EXPECT_EQ(ExtendedForm(basic), extended);
    const absl::Status status = ParseSingleTime(basic).status();
    EXPECT_EQ(std::string(status.message()),
              "write it as " + std::string(extended) + ": as " + taken_for);
  }
  for (const char* text :
       {"", "7", "20111322", "20110231", "2011112", "201111220", "30111122", "2011112x", "1969",
        "2100", "2021021324", "202102131060", "2021-02", "20111122.x", "1322000000",
        "1322000000000", "2021021310300", "999999999999"}) {
    EXPECT_EQ(ExtendedForm(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseSingleTime("1322000000")->us, kUs);
  EXPECT_EQ(std::string(ParseSingleTime("soon").status().message()).find("it must be Unix"), 0u);
}

TEST(EventTimeTest, AnythingElseIsNoTime) {
  for (const char* text : {"",
                           " ",
                           "yesterday",
                           "-1",
                           "nan",
                           "inf",
                           "1e300",
                           "0x10",
                           "1322000000x",
                           "2011-13-01",
                           "2011-02-29",
                           "2011-11-22T",
                           "2011-11-22T24:00:00Z",
                           "2011-11-22T22:60:00Z",
                           "2011-11-22T22:13:20+25:00",
                           "2011-11-22T22:13:20Zx",
                           "2011-11/22",
                           "11/22/2011 22:13",
                           "1969-12-31T23:59:59Z",
                           "10000-01-01T00:00:00Z",
                           "2011-11-22T22:13:20.",
                           "20111122T221320Z",
                           "infinite-future",
                           "99999999999999999999999"}) {
    EXPECT_FALSE(ParseEventTime(text).has_value()) << text;
  }
}

TEST(EventTimeTest, EveryFormHasAName) {
  for (size_t form = 0; form < static_cast<size_t>(TimeForm::kCount); ++form) {
    EXPECT_FALSE(NameOf(static_cast<TimeForm>(form)).empty());
  }
}

}  // namespace
}  // namespace groundswell
