#include "client/kafka/record_mapping.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace groundswell {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kShop[] = R"({
  "user_id": "/customer/id", "item_id": "/sku", "event_time": "/at", "weight": "/n", "event_id": "/id",
  "event_type": {"path": "/kind", "values": {"buy": "purchase", "ping": null}}})";
constexpr char kBuy[] =
    R"({"customer": {"id": 17850}, "sku": "85123A", "at": "2011-12-09T12:00:00.5Z", "n": 3,
        "id": "e1", "kind": "buy"})";

KafkaRecord Record(std::string value) {
  return {.partition = 2, .offset = 41, .timestamp_ms = 1'322'000'000'250, .value = value};
}

RecordMapping Mapping(std::string_view text) {
  auto mapping = RecordMapping::ParseJsonMapping(text);
  EXPECT_TRUE(mapping.ok()) << mapping.status();
  return *std::move(mapping);
}

std::string ErrorOf(std::string_view mapping) {
  const auto parsed = RecordMapping::ParseJsonMapping(mapping);
  EXPECT_FALSE(parsed.ok()) << mapping;
  return std::string(parsed.status().message());
}

std::string WhyBad(const RecordMapping& mapping, const std::string& value) {
  const auto read = mapping.Read(Record(value), "s");
  EXPECT_TRUE(absl::IsInvalidArgument(read.status())) << value;
  return std::string(read.status().message());
}

TEST(RecordMappingTest, FieldsStandWhereTheMappingSays) {
  const auto read = Mapping(kShop).Read(Record(kBuy), "s");
  ASSERT_TRUE(read.ok() && read->has_value()) << read.status();
  const v1::Interaction& interaction = **read;
  EXPECT_EQ(interaction.user_id(), "17850");
  EXPECT_EQ(interaction.item_id(), "85123A");
  EXPECT_EQ(interaction.event_type(), "purchase");
  EXPECT_EQ(interaction.weight(), 3);
  EXPECT_EQ(interaction.event_id(), "e1");
  EXPECT_EQ(interaction.event_time().seconds(), 1'323'432'000);
  EXPECT_EQ(interaction.event_time().nanos(), 500'000'000);
}

TEST(RecordMappingTest, WhatIsNotMappedIsTheRecordsOwn) {
  const RecordMapping mapping =
      Mapping(R"({"user_id": "/u", "item_id": "/i", "event_type": {"constant": "view"}})");
  const auto read = mapping.Read(Record(R"({"u": "ann", "i": "mug"})"), "kafka/c/shop");
  ASSERT_TRUE(read.ok() && read->has_value()) << read.status();
  EXPECT_EQ((*read)->event_id(), "kafka/c/shop/2/41");
  EXPECT_EQ((*read)->event_type(), "view");
  EXPECT_FALSE((*read)->has_weight());
  EXPECT_EQ((*read)->event_time().seconds(), 1'322'000'000);
  EXPECT_EQ((*read)->event_time().nanos(), 250'000'000);
}

TEST(RecordMappingTest, TombstonesAndTypesThatAreNullArePassedOver) {
  const RecordMapping mapping = Mapping(kShop);
  KafkaRecord tombstone = Record("");
  tombstone.value.reset();
  const auto none = mapping.Read(tombstone, "s");
  EXPECT_TRUE(none.ok() && !none->has_value()) << none.status();
  const auto ping = mapping.Read(Record(R"({"kind": "ping"})"), "s");
  EXPECT_TRUE(ping.ok() && !ping->has_value()) << ping.status();
}

TEST(RecordMappingTest, OtherTypesAreBadUnlessTheMappingSaysWhatTheyAre) {
  EXPECT_THAT(WhyBad(Mapping(kShop), R"({"kind": "gift"})"),
              AllOf(HasSubstr("/kind"), HasSubstr("gift"), HasSubstr("otherwise")));
  constexpr char kOthers[] = R"({"user_id": "/u", "item_id": "/i",
      "event_type": {"path": "/k", "values": {"b": "purchase"}, "otherwise": null}})";
  const auto read = Mapping(kOthers).Read(Record(R"({"u": "ann"})"), "s");
  EXPECT_TRUE(read.ok() && !read->has_value()) << read.status();
}

TEST(RecordMappingTest, BadRecordsNameFieldValueAndWhatIsRight) {
  const RecordMapping mapping = Mapping(kShop);
  EXPECT_THAT(WhyBad(mapping, "no json"), HasSubstr("JSON object"));
  EXPECT_THAT(WhyBad(mapping, "[1]"), HasSubstr("JSON object"));
  EXPECT_THAT(WhyBad(mapping, std::string("\0\0\0\0\1{}", 7)), HasSubstr("schema registry"));
  EXPECT_THAT(WhyBad(mapping, R"({"kind": "buy"})"),
              AllOf(HasSubstr("user_id (/customer/id)"), HasSubstr("not there")));
  EXPECT_THAT(WhyBad(mapping, R"({"kind": "buy", "customer": {"id": 1.5}})"),
              AllOf(HasSubstr("1.5"), HasSubstr("whole number")));
  constexpr char kFormat[] = R"({"kind": "buy", "customer": {"id": 1}, "sku": "s", "id": "e", )";
  EXPECT_THAT(WhyBad(mapping, std::string(kFormat) + R"("at": "soon"})"),
              AllOf(HasSubstr("event_time"), HasSubstr("soon"), HasSubstr("ISO 8601")));
  EXPECT_THAT(WhyBad(mapping, std::string(kFormat) + R"("at": 202102131030})"),
              HasSubstr("write it as 2021-02-13T10:30"));
  for (const std::string weight : {"0", "1.5", "\"x\"", "1000001", "1e300"}) {
    EXPECT_THAT(WhyBad(mapping, std::string(kFormat) + R"("at": 1322000000, "n": )" + weight + "}"),
                HasSubstr("1000000"))
        << weight;
  }
}

TEST(RecordMappingTest, NumbersWithTheirPointsAreTimesAndWeights) {
  const auto read = Mapping(kShop).Read(
      Record(
          R"({"kind": "buy", "customer": {"id": 1}, "sku": 2, "id": 3, "at": 1322000000.25, "n": -2.0})"),
      "s");
  ASSERT_TRUE(read.ok() && read->has_value()) << read.status();
  EXPECT_EQ((*read)->event_time().nanos(), 250'000'000);
  EXPECT_EQ((*read)->weight(), -2);
}

TEST(RecordMappingTest, BadMappingsSayWhatToWrite) {
  EXPECT_THAT(ErrorOf("{"), HasSubstr("JSON object"));
  EXPECT_THAT(ErrorOf(R"({"item_id": "/i", "event_type": "/t"})"),
              HasSubstr(R"("user_id": "/user_id")"));
  EXPECT_THAT(ErrorOf(R"({"user_id": "/u", "item_id": "/i"})"), HasSubstr("constant"));
  EXPECT_THAT(ErrorOf(R"({"user_id": "u", "item_id": "/i", "event_type": "/t"})"),
              HasSubstr(R"(write "/u")"));
  EXPECT_THAT(ErrorOf(R"({"user_id": "/u~2", "item_id": "/i", "event_type": "/t"})"),
              HasSubstr("~0"));
  EXPECT_THAT(ErrorOf(R"({"userid": "/u", "item_id": "/i", "event_type": "/t"})"),
              HasSubstr(R"(did you mean "user_id"?)"));
  EXPECT_THAT(ErrorOf(R"({"user_id": 3, "item_id": "/i", "event_type": "/t"})"),
              HasSubstr("JSON Pointer"));
}

TEST(RecordMappingTest, BadRulesOfTypesSayWhatToWrite) {
  const auto rule = [](std::string_view text) {
    return ErrorOf(R"({"user_id": "/u", "item_id": "/i", "event_type": )" + std::string(text) +
                   "}");
  };
  EXPECT_THAT(rule("{}"), HasSubstr("constant"));
  EXPECT_THAT(rule(R"({"constant": "a", "path": "/t"})"), HasSubstr("alone"));
  EXPECT_THAT(rule(R"({"constant": null})"), HasSubstr("name a type"));
  EXPECT_THAT(rule(R"({"path": "/t", "values": []})"), HasSubstr("object"));
  EXPECT_THAT(rule(R"({"path": "/t", "values": {"a": 1}})"), HasSubstr("null"));
  EXPECT_THAT(rule(R"({"path": "/t", "otherwise": "view"})"), HasSubstr("no \"values\""));
  EXPECT_THAT(rule(R"({"path": "/t", "value": {}})"), HasSubstr("did you mean"));
}

std::string Nested(int depth) {
  const auto brackets = static_cast<size_t>(depth);
  return std::string(brackets, '[') + std::string(brackets, ']');
}

TEST(RecordMappingTest, AKeyTwiceIsABadRecordAtAnyDepth) {
  const RecordMapping mapping = Mapping(
      R"({"user_id": "/u", "item_id": "/i/id", "event_type": {"constant": "view"}, "event_id": "/e"})");
  EXPECT_THAT(WhyBad(mapping, R"({"u": 1, "i": {"id": 2}, "e": 3, "u": 4})"),
              HasSubstr("the key \"u\" more than once"));
  EXPECT_THAT(WhyBad(mapping, R"({"u": 1, "i": {"id": 2, "x": [], "id": 3}, "e": 3})"),
              HasSubstr("the key \"id\" more than once"));
  EXPECT_TRUE(
      mapping.Read(Record(R"({"u": 1, "i": {"id": 2}, "e": 3, "x": {"id": 4, "u": 5}})"), "s")
          .ok());
  EXPECT_THAT(ErrorOf(R"({"user_id": "/u", "user_id": "/v"})"), HasSubstr("\"user_id\""));
}

TEST(RecordMappingTest, WhatNestsForEverIsABadRecord) {
  const RecordMapping mapping = Mapping(
      R"({"user_id": "/u", "item_id": "/i", "event_type": {"constant": "view"}, "event_id": "/e"})");
  for (const std::string field : {"u", "i", "e", "x"}) {
    const std::string value =
        R"({"u": "ann", "i": "mug", "e": "1", ")" + field + R"(": )" + Nested(500'000) + "}";
    EXPECT_THAT(WhyBad(mapping, value), HasSubstr("within one another")) << field;
  }
  EXPECT_THAT(WhyBad(mapping, Nested(500'000)), HasSubstr("within one another"));
  EXPECT_THAT(WhyBad(mapping, R"({"u": )" + Nested(63) + "}"),
              HasSubstr("user_id (/u) is an array"));
  EXPECT_THAT(WhyBad(mapping, R"({"u": {"a": 1}})"), HasSubstr("user_id (/u) is an object"));
  EXPECT_TRUE(
      mapping.Read(Record(R"({"u": 1, "i": 2, "e": 3, "x": )" + Nested(63) + "}"), "s").ok());
  EXPECT_THAT(ErrorOf(R"({"user_id": )" + Nested(500'000) + "}"), HasSubstr("within one another"));
}

TEST(RecordMappingTest, IdsLongerThanTheServerTakesAreBadRecords) {
  const RecordMapping mapping =
      Mapping(R"({"user_id": "/u", "item_id": "/i", "event_type": "/t", "event_id": "/e"})");
  const auto with = [](const std::string& field, size_t bytes) {
    nlohmann::json value = {{"u", "u"}, {"i", "i"}, {"t", "t"}, {"e", "e"}};
    value[field] = std::string(bytes, 'x');
    return value.dump();
  };
  for (const std::string field : {"u", "i", "t", "e"}) {
    EXPECT_TRUE(mapping.Read(Record(with(field, 256)), "s").ok()) << field;
    EXPECT_THAT(WhyBad(mapping, with(field, 257)), AllOf(HasSubstr("257"), HasSubstr("256")));
    EXPECT_LT(WhyBad(mapping, with(field, 100'000)).size(), 1'000u) << field;
  }
}

TEST(RecordMappingTest, ProtobufRecordsHaveNoLongIdsNorFieldsThatNobodyKnows) {
  const RecordMapping mapping = RecordMapping::OfProtobuf();
  for (const std::string field : {"user_id", "item_id", "event_type", "event_id"}) {
    v1::Interaction interaction;
    interaction.GetReflection()->SetString(
        &interaction, v1::Interaction::descriptor()->FindFieldByName(field), std::string(257, 'x'));
    EXPECT_THAT(WhyBad(mapping, interaction.SerializeAsString()),
                AllOf(HasSubstr(field), HasSubstr("257")));
  }
  v1::Interaction interaction;
  interaction.set_user_id("ann");
  interaction.GetReflection()
      ->MutableUnknownFields(&interaction)
      ->AddLengthDelimited(99, std::string(5'000'000, 'x'));
  const auto read = mapping.Read(Record(interaction.SerializeAsString()), "s");
  ASSERT_TRUE(read.ok() && read->has_value()) << read.status();
  EXPECT_LT((*read)->ByteSizeLong(), 100u);
}

TEST(RecordMappingTest, ProtobufRecordsAreInteractionsAsTheyAre) {
  const RecordMapping mapping = RecordMapping::OfProtobuf();
  v1::Interaction interaction;
  interaction.set_user_id("ann");
  const auto read = mapping.Read(Record(interaction.SerializeAsString()), "s");
  ASSERT_TRUE(read.ok() && read->has_value()) << read.status();
  EXPECT_EQ((*read)->user_id(), "ann");
  EXPECT_EQ((*read)->event_id(), "s/2/41");
  EXPECT_THAT(WhyBad(mapping, "\xff\xff"), HasSubstr("groundswell.v1.Interaction"));
}

}  // namespace
}  // namespace groundswell
