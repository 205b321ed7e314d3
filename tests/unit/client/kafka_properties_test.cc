#include "kafka/kafka_properties.h"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

TEST(KafkaPropertiesTest, KeysAndValuesAreReadPastRemarksAndBlanks) {
  const auto read = ParseKafkaProperties(
      "# remark\r\n! too\n\n  security.protocol = SASL_SSL \nsasl.password=a = b#c\n", "f");
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].key, "security.protocol");
  EXPECT_EQ((*read)[0].value, "SASL_SSL");
  EXPECT_EQ((*read)[1].value, "a = b#c");
  EXPECT_EQ((*read)[1].origin, "line 5 of f");
}

TEST(KafkaPropertiesTest, ALineThatIsNoPropertyIsNamedWithoutItsText) {
  const auto read = ParseKafkaProperties("a=b\ntop secret\n", "f");
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(MessageOf(read.status()), HasSubstr("line 2 of f"));
  EXPECT_THAT(MessageOf(read.status()), Not(HasSubstr("secret")));
}

TEST(KafkaPropertiesTest, WhatTheReadingDecidesIsRefusedWithTheReason) {
  for (const std::string key : {"auto.offset.reset", "group.id", "sasl.jaas.config", "debug"}) {
    const auto read = ParseKafkaProperties(key + " = secret", "f");
    ASSERT_FALSE(read.ok()) << key;
    EXPECT_THAT(MessageOf(read.status()), HasSubstr(key));
    EXPECT_THAT(MessageOf(read.status()), Not(HasSubstr("secret")));
  }
}

TEST(KafkaPropertiesTest, TheFlagsBrokersReplaceTheFiles) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("kafka.properties");
  std::ofstream(path) << "bootstrap.servers=one:1\nssl.ca.location=ca.pem\n";
  const auto read = ReadKafkaProperties(path, "two:2", "--brokers");
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[1].value, "two:2");
  EXPECT_TRUE(ReadKafkaProperties(path, "", "--brokers").ok());
}

TEST(KafkaPropertiesTest, NoBrokersAndNoFileAreErrorsThatSaySo) {
  const auto none = ReadKafkaProperties("", "", "--brokers");
  EXPECT_THAT(MessageOf(none.status()), HasSubstr("--brokers"));
  const auto missing = ReadKafkaProperties("/nowhere/kafka.properties", "", "--brokers");
  EXPECT_THAT(MessageOf(missing.status()), HasSubstr("/nowhere/kafka.properties"));
}

}  // namespace
}  // namespace groundswell
