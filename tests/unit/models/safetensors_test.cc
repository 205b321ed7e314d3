#include "models/files/safetensors.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/safetensors_writer.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

absl::StatusOr<SafetensorsFile> ParseHeader(std::string_view header, std::string_view data = "") {
  return SafetensorsFile::Parse("t.safetensors", SafetensorsBytes(header, data));
}

TEST(SafetensorsTest, TruncationIsRefusedAtEveryLength) {
  SafetensorsWriter writer;
  writer.Add("a", {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  const auto whole = writer.Bytes();
  for (size_t size = 0; size < whole->view().size(); ++size) {
    auto part = std::make_shared<FileBytes>(size);
    std::copy_n(whole->view().begin(), size, part->mutable_view().begin());
    EXPECT_EQ(SafetensorsFile::Parse("t", part).status().code(), absl::StatusCode::kInvalidArgument)
        << size;
  }
}

TEST(SafetensorsTest, BadHeadersAreRefused) {
  const char* const headers[] = {
      "",
      "[]",
      "null",
      "{",
      "{\"a\":1}",
      "{\"a\":{}}",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})",
      R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})",
      R"({"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,8]}})",
      R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[1,5]}})",
      R"({"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}})",
      R"({"__metadata__":{"k":1}})",
      R"({"__metadata__":[]})",
      R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})"};
  for (const char* header : headers) {
    EXPECT_EQ(ParseHeader(header, "12345678").status().code(), absl::StatusCode::kInvalidArgument)
        << header;
  }
}

TEST(SafetensorsTest, DeeplyNestedJsonIsSurvived) {
  std::string header;
  for (int i = 0; i < 100'000; ++i) header += "{\"a\":";
  EXPECT_FALSE(ParseHeader(header).ok());
}

TEST(SafetensorsTest, ErrorsNameFileTensorAndShapes) {
  SafetensorsWriter writer;
  writer.Add("a", {2}, std::vector<float>{1, 2});
  const auto file = SafetensorsFile::Parse("t.safetensors", writer.Bytes());
  ASSERT_TRUE(file.ok());
  const auto missing = file->Find("b", std::vector<size_t>{1});
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  const absl::Status other = file->Find("a", std::vector<size_t>{3}).status();
  EXPECT_EQ(other.code(), absl::StatusCode::kInvalidArgument);
  for (const char* part : {"t.safetensors", "\"a\"", "[2]", "[3]"}) {
    EXPECT_NE(other.message().find(part), absl::string_view::npos) << other;
  }
}

TEST(SafetensorsTest, NumbersThatAreNotFiniteAreRefused) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    SafetensorsWriter writer;
    writer.Add("a", {2}, std::vector<float>{1, bad});
    const auto file = SafetensorsFile::Parse("t", writer.Bytes());
    EXPECT_EQ(file->Floats("a", std::vector<size_t>{2}).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(SafetensorsTest, TypesAreNotMixedUp) {
  SafetensorsWriter writer;
  writer.Add("f", {1}, std::vector<float>{1});
  writer.Add("i", {1}, std::vector<int32_t>{-7});
  writer.Add("l", {1}, std::vector<int64_t>{int64_t{1} << 40});
  const auto file = SafetensorsFile::Parse("t", writer.Bytes());
  ASSERT_TRUE(file.ok()) << file.status();
  const std::vector<size_t> one{1};
  EXPECT_FALSE(file->Floats("i", one).ok());
  EXPECT_FALSE(file->Integers("f", one).ok());
  EXPECT_EQ(*file->Integers("i", one), std::vector<int64_t>{-7});
  EXPECT_EQ(*file->Integers("l", one), std::vector<int64_t>{int64_t{1} << 40});
}

TEST(SafetensorsTest, TensorsAndMetadataAreRead) {
  const auto file = ParseHeader(
      R"({"__metadata__":{"tau":"1.9"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}      )",
      std::string_view("\0\0\x80\x3f", 4));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata().at("tau"), "1.9");
  const auto scalar = file->Floats("a", {});
  ASSERT_TRUE(scalar.ok()) << scalar.status();
  EXPECT_EQ((*scalar)[0], 1.0f);
}

TEST(ReadFileBytesTest, AMissingFileIsNotFound) {
  const TemporaryDirectory directory;
  EXPECT_EQ(ReadFileBytes(directory.File("none")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(ReadFileBytes(directory.path()).ok());
}

TEST(SafetensorsTest, ATensorsNameIsShortAndWithoutControlCharacters) {
  const auto header = [](const std::string& name) {
    const std::string text =
        "{\"" + name + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    return text + std::string(8 - text.size() % 8, ' ');
  };
  EXPECT_TRUE(ParseHeader(header(std::string(256, 'x')), "1234").ok());
  for (const std::string& name : {std::string(257, 'x'), std::string(), std::string("a\\nb")}) {
    const absl::Status status = ParseHeader(header(name), "1234").status();
    EXPECT_NE(std::string(status.message()).find("1 to 256 bytes without control"),
              std::string::npos)
        << status;
    EXPECT_LT(status.message().size(), 250u);
  }
}

}  // namespace
}  // namespace groundswell
