#include "models/files/manifest.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace groundswell {
namespace {

using nlohmann::json;

json Good() {
  return {{"format_version", 1},
          {"name", "n"},
          {"version", "v"},
          {"create_time", "2011-11-11T12:50:00Z"},
          {"users", 3},
          {"items", 4},
          {"embedding_dim", 2},
          {"user_clusters", 2},
          {"item_clusters", 3},
          {"graph_offset", 5},
          {"models",
           {{{"name", "macgnn"},
             {"kind", "macgnn"},
             {"file", "m.safetensors"},
             {"options", {{"tau", "1.9"}}}}}},
          {"encoders",
           {{{"name", "users"},
             {"side", "user"},
             {"kind", "als"},
             {"file", "m.safetensors"},
             {"options", {{"alpha", "40"}}}},
            {{"name", "items"},
             {"side", "item"},
             {"kind", "als"},
             {"file", "m.safetensors"},
             {"options", json::object()}}}},
          {"files", {{"m.safetensors", {{"sha256", std::string(64, 'a')}, {"bytes", 7}}}}},
          {"metrics", {{"heldout.auc", 0.5}}},
          {"data", {{"license", "CC BY 4.0"}}}};
}

// The manifest with one value replaced must be refused, and the error must name `what`.
void ExpectManifestRefused(const std::string& pointer, const json& value, const std::string& what) {
  json manifest = Good();
  manifest[json::json_pointer(pointer)] = value;
  const absl::Status status = ParseManifest(manifest.dump()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << pointer << " = " << value;
  EXPECT_NE(std::string(status.message()).find(what), std::string::npos) << status;
}

TEST(ManifestTest, WhatIsNotAnObjectIsRefused) {
  for (const char* text : {"", "[]", "1", "\"x\"", "{", "nonsense"}) {
    EXPECT_FALSE(ParseManifest(text).ok()) << text;
  }
}

TEST(ManifestTest, EveryRequiredKeyIsMissed) {
  const json good = Good();
  for (const auto& [key, value] : good.items()) {
    if (key == "data" || key == "encoders") continue;
    json manifest = Good();
    manifest.erase(key);
    const absl::Status status = ParseManifest(manifest.dump()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << key;
    EXPECT_NE(std::string(status.message()).find(key), std::string::npos) << status;
  }
}

TEST(ManifestTest, BadValuesAreNamed) {
  ExpectManifestRefused("/format_version", 2, "format_version");
  ExpectManifestRefused("/format_version", "1", "format_version");
  ExpectManifestRefused("/surprise", 1, "surprise");
  ExpectManifestRefused("/name", "", "name");
  ExpectManifestRefused("/name", std::string(300, 'x'), "name");
  ExpectManifestRefused("/create_time", "yesterday", "create_time");
  for (const char* const beyond : {"infinite-future", "infinite-past", "0000-12-31T23:59:59Z"}) {
    ExpectManifestRefused("/create_time", beyond, "years 1 to 9999");
  }
  ExpectManifestRefused("/users", -1, "users");
  ExpectManifestRefused("/users", 1.5, "users");
  ExpectManifestRefused("/items", 0, "items");
  ExpectManifestRefused("/embedding_dim", 100'000, "embedding_dim");
  ExpectManifestRefused("/user_clusters", 0, "user_clusters");
  ExpectManifestRefused("/graph_offset", uint64_t{1} << 63, "graph_offset");
  ExpectManifestRefused("/models", 1, "models");
  ExpectManifestRefused("/models/0/file", "other.safetensors", "other.safetensors");
  ExpectManifestRefused("/models/0/options", json::array(), "options");
  ExpectManifestRefused("/models/0/options/tau", 1.9, "tau");
  ExpectManifestRefused("/models/0/kindness", "x", "kindness");
  ExpectManifestRefused("/encoders", 1, "encoders");
  ExpectManifestRefused("/encoders", json(std::vector<int>(17)), "at most 16");
  ExpectManifestRefused("/encoders/0/side", "both", "encoders[0].side");
  ExpectManifestRefused("/encoders/0/side", 1, "encoders[0].side");
  ExpectManifestRefused("/encoders/1/file", "other.safetensors", "other.safetensors");
  ExpectManifestRefused("/encoders/1/options", json::array(), "encoders[1].options");
  ExpectManifestRefused("/encoders/0/options/alpha", 40, "alpha");
  ExpectManifestRefused("/encoders/0/kindness", "x", "kindness");
  ExpectManifestRefused("/encoders/1/name", "users", "two encoders are named");
  ExpectManifestRefused("/files/m.safetensors/sha256", "abc", "sha256");
  ExpectManifestRefused("/files/m.safetensors/bytes", -1, "bytes");
  ExpectManifestRefused("/metrics/heldout.auc", "high", "heldout.auc");
  ExpectManifestRefused("/data/license", 4, "license");
}

TEST(ManifestTest, EveryStringIsShortAndWithoutControlCharacters) {
  const std::string long_text(257, 'x');
  for (const std::string& bad : {std::string("a\nb"), std::string("a\0b", 3), long_text}) {
    for (const char* const pointer :
         {"/name", "/version", "/create_time", "/models/0/name", "/models/0/kind", "/models/0/file",
          "/models/0/options/tau", "/encoders/0/name", "/encoders/0/options/alpha",
          "/files/m.safetensors/sha256", "/data/license"}) {
      ExpectManifestRefused(pointer, bad, "256 bytes without control characters");
    }
    for (const char* const pointer : {"/models/0/options", "/metrics", "/data"}) {
      ExpectManifestRefused(pointer, {{bad, "1"}}, "256 bytes without control characters");
    }
    const absl::Status status = [&] {
      json manifest = Good();
      manifest[bad] = 1;
      return ParseManifest(manifest.dump()).status();
    }();
    EXPECT_NE(std::string(status.message()).find("unknown key"), std::string::npos);
    EXPECT_EQ(std::string(status.message()).find('\n'), std::string::npos) << status;
    EXPECT_LT(status.message().size(), 400u);
  }
  json many = json::object();
  for (int i = 0; i < 1'025; ++i) many[std::to_string(i)] = "1";
  for (const char* const pointer : {"/models/0/options", "/metrics", "/data"}) {
    ExpectManifestRefused(pointer, many, "at most 1024 keys");
  }
}

TEST(ManifestTest, FileNamesCannotLeaveTheDirectory) {
  for (const char* name : {"../x", "/etc/passwd", "a/b", "..", ".hidden", "", "manifest.json"}) {
    json manifest = Good();
    manifest["files"][name] = manifest["files"]["m.safetensors"];
    EXPECT_FALSE(ParseManifest(manifest.dump()).ok()) << name;
  }
}

TEST(ManifestTest, TwoModelsOfOneNameAreRefused) {
  json manifest = Good();
  manifest["models"].push_back(manifest["models"][0]);
  EXPECT_FALSE(ParseManifest(manifest.dump()).ok());
}

TEST(ManifestTest, AGoodOneIsRead) {
  const auto manifest = ParseManifest(Good().dump());
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->FullVersion(), "n@v");
  EXPECT_EQ(manifest->create_time_us, 1'321'015'800'000'000);
  EXPECT_EQ(manifest->models[0].options.at("tau"), "1.9");
  ASSERT_EQ(manifest->encoders.size(), 2u);
  EXPECT_EQ(manifest->encoders[0].side, EncoderSide::kUser);
  EXPECT_EQ(manifest->encoders[0].options.at("alpha"), "40");
  EXPECT_EQ(manifest->encoders[1].side, EncoderSide::kItem);
  EXPECT_EQ(manifest->encoders[1].name, "items");
  EXPECT_EQ(manifest->files.at("m.safetensors").bytes, 7u);
  EXPECT_EQ(manifest->metrics.at("heldout.auc"), 0.5);
  EXPECT_EQ(manifest->data.at("license"), "CC BY 4.0");
}

}  // namespace
}  // namespace groundswell
