#include "csv/item_reader.h"

#include <gmock/gmock.h>

#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "csv/json_faults.h"

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct ItemsRead {
  std::vector<ItemRecord> items;
  std::vector<std::string> bad;
  absl::Status end;
};

ItemsRead ReadItems(const std::string& text, ItemReader::Options options = {}) {
  std::istringstream input(text);
  ItemReader reader(input, std::move(options));
  ItemsRead read;
  while (true) {
    auto item = reader.Next();
    if (absl::IsInvalidArgument(item.status()) && !reader.ended()) {
      read.bad.emplace_back(item.status().message());
      continue;
    }
    read.end = item.status();
    if (!item.ok() || !item->has_value()) break;
    read.items.push_back(**std::move(item));
  }
  EXPECT_LE(reader.bytes_read(), text.size() + 1);
  return read;
}

std::string OnlyTitle(const ItemsRead& read) {
  EXPECT_TRUE(read.end.ok()) << read.end;
  EXPECT_THAT(read.bad, IsEmpty());
  EXPECT_EQ(read.items.size(), 1u);
  return read.items.empty() ? "" : read.items[0].title;
}

TEST(ItemReaderTest, ColumnsAreFoundByTheNamesInUse) {
  const ItemsRead read = ReadItems(
      "sku,productName,department,vector,availableFrom,available_until\n"
      "85123A,\"Holder, white\",candles,0.5 -1e-3,2026-01-02,1800000000\n"
      "71053,,,,,\n");
  ASSERT_TRUE(read.end.ok()) << read.end;
  ASSERT_EQ(read.items.size(), 2u);
  EXPECT_EQ(read.items[0].record, 1u);
  EXPECT_EQ(read.items[0].id, "85123A");
  EXPECT_EQ(read.items[0].title, "Holder, white");
  EXPECT_EQ(read.items[0].category, "candles");
  EXPECT_THAT(read.items[0].embedding, ElementsAre(.5f, -1e-3f));
  EXPECT_EQ(read.items[0].available_from_us, 1'767'312'000'000'000);
  EXPECT_EQ(read.items[0].available_until_us, 1'800'000'000'000'000);
  EXPECT_EQ(read.items[1].id, "71053");
  EXPECT_THAT(read.items[1].embedding, IsEmpty());
  EXPECT_FALSE(read.items[1].available_from_us.has_value());
}

TEST(ItemReaderTest, EverySeparatorIsTold) {
  EXPECT_EQ(OnlyTitle(ReadItems("item;title\n1;a, b\n")), "a, b");
  EXPECT_EQ(OnlyTitle(ReadItems("item\ttitle\r\n1\ta, b\r\n")), "a, b");
  EXPECT_EQ(OnlyTitle(ReadItems("\xEF\xBB\xBFitem|title\n1|a, b\n")), "a, b");
  const ItemsRead colons = ReadItems("1::Toy Story::Comedy\n", {.header = {"item", "title", "c"}});
  EXPECT_THAT(std::string(colons.end.message()), HasSubstr("they must be by , ; tab or |"));
}

TEST(ItemReaderTest, ColumnsMayBeNamed) {
  ItemReader::Options options;
  options.columns[kItemIdField] = "ref";
  options.columns[kTitleField] = "item";  // else the id
  EXPECT_EQ(OnlyTitle(ReadItems("ref,item\n1,lamp\n", options)), "lamp");
  EXPECT_EQ(OnlyTitle(ReadItems("1,lamp\n", {.header = {"item", "title"}})), "lamp");

  options.columns[kCategoryField] = "kind";
  const ItemsRead missing = ReadItems("ref,item\n1,lamp\n", options);
  EXPECT_THAT(std::string(missing.end.message()),
              HasSubstr("no column \"kind\" for the category; the columns are \"ref\", \"item\""));
  const ItemsRead nameless = ReadItems("a,b\n1,lamp\n");
  EXPECT_THAT(std::string(nameless.end.message()), HasSubstr("say which it is with --item COLUMN"));
}

// A log, or a catalogue with columns of another language, would empty titles and categories.
TEST(ItemReaderTest, AFileThatSaysNothingOfItemsIsRefused) {
  const std::string log = "user_id,item_id,timestamp\nu,a,1613212200\n";
  EXPECT_THAT(std::string(ReadItems(log).end.message()),
              HasSubstr("nothing is said of an item but its item_id; found are \"user_id\", "
                        "\"item_id\", \"timestamp\". Name the column"));
  EXPECT_EQ(ReadItems(log, {.ids_alone = true}).items.size(), 1u);
  const ItemsRead json =
      ReadItems("{\"item\": \"1\", \"Titel\": \"a\"}\n{\"item\": \"2\", \"title\": \"b\"}\n");
  EXPECT_THAT(json.bad, ElementsAre(HasSubstr("record 1: nothing is said of an item")));
  EXPECT_EQ(json.items.size(), 1u);
}

TEST(ItemReaderTest, JsonLinesHaveArrays) {
  const ItemsRead read = ReadItems(
      "{\"id\": 7, \"name\": \"Lamp\", \"genres\": [\"a\", \"b\"], \"embedding\": [1, -0.25]}\n\n"
      "{\"id\": \"8\", \"embedding\": null}\n");
  ASSERT_TRUE(read.end.ok()) << read.end;
  ASSERT_EQ(read.items.size(), 2u);
  EXPECT_EQ(read.items[0].id, "7");
  EXPECT_EQ(read.items[0].title, "Lamp");
  EXPECT_EQ(read.items[0].category, "a, b");
  EXPECT_THAT(read.items[0].embedding, ElementsAre(1, -.25f));
  EXPECT_EQ(read.items[1].id, "8");
  EXPECT_EQ(read.items[1].title, "") << "keys are found in each line";
}

TEST(ItemReaderTest, ABadRecordIsNamedAndTheNextIsRead) {
  const ItemsRead csv = ReadItems(
      "item,title,embedding,available_from\n"
      "1,a\n"
      ",b,,\n"
      "3,c,1 x,\n"
      "4,d,,soon\n"
      "5,\xff,,\n"
      "6,e,,\n"
      "7,f,,20270101\n");
  ASSERT_TRUE(csv.end.ok()) << csv.end;
  ASSERT_EQ(csv.items.size(), 1u);
  EXPECT_EQ(csv.items[0].record, 6u);
  EXPECT_THAT(csv.bad,
              ElementsAre(HasSubstr("record 1: it has 2 fields and the header 4"),
                          HasSubstr("record 2: item is \"\"; it must not be empty"),
                          HasSubstr("record 3: embedding is \"1 x\"; it must be numbers"),
                          HasSubstr("record 4: available_from is \"soon\"; it must be Unix"),
                          HasSubstr("record 5: title is "),
                          HasSubstr("available_from is \"20270101\"; write it as 2027-01-01")));
  const ItemsRead json = ReadItems("{\"item\": {}}\n[1]\n{\"title\": \"a\"}\n{\"item\": \"1\"}\n");
  EXPECT_EQ(json.items.size(), 1u);
  EXPECT_THAT(json.bad,
              ElementsAre(HasSubstr("item is \"object\""), HasSubstr("it must be one JSON object"),
                          HasSubstr("item is \"\"")));
}

TEST(ItemReaderTest, WhatCannotBeReadOnEndsTheReading) {
  const ItemsRead open = ReadItems("item,title\n1,a\n2,\"b\n");
  EXPECT_EQ(open.items.size(), 1u);
  EXPECT_TRUE(absl::IsDataLoss(open.end)) << open.end;
  const ItemsRead longer = ReadItems("{\"item\": \"1\", \"title\": \"a\"}\n{\"item\": \"" +
                                     std::string(70'000, 'x') + "\"}\n");
  EXPECT_EQ(longer.items.size(), 1u);
  EXPECT_TRUE(absl::IsDataLoss(longer.end)) << longer.end;
}

TEST(ItemReaderTest, AColumnIsThereOnceAndIsOneField) {
  EXPECT_THAT(std::string(ReadItems("item,title,title\na,b,c\n").end.message()),
              HasSubstr("several columns are called \"title\""));
  ItemReader::Options options;
  options.columns[kTitleField] = options.columns[kCategoryField] = "x";
  EXPECT_THAT(std::string(ReadItems("item,x\na,b\n", options).end.message()),
              HasSubstr("named for both the title and the category"));
  EXPECT_EQ(OnlyTitle(ReadItems("item,title,note,note\na,b,c,d\n")), "b");
}

TEST(ItemReaderTest, AKeyOfJsonIsThereOnceAndIsOneField) {
  const ItemsRead twice =
      ReadItems("{\"id\":\"a\",\"title\":\"b\",\"title\":\"c\"}\n{\"id\":\"d\",\"n\":1,\"n\":2}\n");
  ASSERT_EQ(twice.bad.size(), 1u);
  EXPECT_THAT(twice.bad[0], HasSubstr("the key \"title\" is there more than once"));
  EXPECT_EQ(twice.items.size(), 1u);
  ItemReader::Options options;
  options.columns[kTitleField] = options.columns[kCategoryField] = "x";
  EXPECT_THAT(std::string(ReadItems("{\"id\":\"a\",\"x\":\"b\"}\n", options).end.message()),
              HasSubstr("both the title and the category"));
}

TEST(ItemReaderTest, AnIdOfJsonIsATextOrAWholeNumber) {
  for (const char* id : {"123456789012345678901", "1.5", "true"}) {
    const ItemsRead read = ReadItems("{\"item_id\": " + std::string(id) + "}\n");
    ASSERT_EQ(read.bad.size(), 1u) << id;
    EXPECT_THAT(read.bad[0], HasSubstr("a whole number below 2^64")) << id;
  }
}

TEST(ItemReaderTest, WhatIsNoTextSaysWhatItIs) {
  EXPECT_THAT(std::string(ReadItems("PK\x03\x04 and more").end.message()), HasSubstr(".xlsx"));
}

TEST(ItemReaderTest, AFileThatIsEmptyOrAnArraySaysSo) {
  EXPECT_TRUE(absl::IsDataLoss(ReadItems("").end));
  EXPECT_THAT(std::string(ReadItems("[\n{\"id\":\"a\"}]\n").end.message()),
              HasSubstr("one object a line"));
  EXPECT_EQ(OnlyTitle(ReadItems(" {\"id\":\"a\",\"title\":\"b\"}\n")), "b");
}

TEST(JsonFaultsTest, AFieldIsThereOnceByWhicheverOfItsNames) {
  EXPECT_EQ(
      FindJsonFault(R"({"userId": "a", "of": {"userId": "b"}, "list": [{"x": 1}, {"x": 2}]})"),
      std::nullopt);
  EXPECT_THAT(FindJsonFault(R"({"user_id": "a", "n": 1, "userId": "b"})").value_or(""),
              HasSubstr("has the key \"userId\" beside \"user_id\""));
  EXPECT_THAT(FindJsonFault(R"({"list": [{"x": 1, "x": 2}]})").value_or(""),
              HasSubstr("has the key \"x\" twice"));
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += R"({"x":)";
  EXPECT_EQ(FindJsonFault(deep), std::nullopt);
}

TEST(JsonFaultsTest, WhatProtobufWouldLeaveOutOrGuessIsAFault) {
  EXPECT_EQ(FindJsonFault(R"({"x": null, "list": [], "of": {"y": null}, "n": [1.5, "a", true]})"),
            std::nullopt);
  EXPECT_THAT(FindJsonFault(R"({"list": [{"x": 1}, null]})").value_or(""),
              HasSubstr("has null within a list"));
  EXPECT_THAT(FindJsonFault(R"({"list": [[]]})").value_or(""),
              HasSubstr("has a list within a list"));
  for (const char* text : {"no JSON", "", "{x: 1}", "{'x': 1}", R"({"x": 1,})", R"({"x": 1} 2)",
                           R"({"x": 1, 'x': 2})"}) {
    EXPECT_THAT(FindJsonFault(text).value_or(""), HasSubstr("is no JSON from byte")) << text;
  }
}

}  // namespace
}  // namespace groundswell
