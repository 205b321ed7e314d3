#include "models/files/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "models/files/sha256.h"
#include "models/files/strict_json.h"

namespace groundswell {
namespace {

using nlohmann::json;

constexpr int kFormatVersion = 1;
constexpr uint64_t kUsersMax = 1'000'000'000;
constexpr uint64_t kItemsMax = 1'000'000'000;
constexpr uint64_t kDimensionMax = 4'096;
constexpr uint64_t kClustersMax = 65'536;
constexpr uint64_t kOffsetMax = uint64_t{1} << 62;
constexpr size_t kFilesMax = 256;
constexpr size_t kModelsMax = 64;
constexpr size_t kEncodersMax = 16;
constexpr size_t kTextMax = 256;
constexpr size_t kEntriesMax = 1'024;  // of "options", "metrics" and "data" each

absl::Status BadManifest(std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("manifest.json: {}", what));
}

// Whether every string of a manifest may be like this: it comes into logs, metrics and answers.
bool IsText(std::string_view text, size_t min) {
  return text.size() >= min && text.size() <= kTextMax && !HasControlCharacter(text);
}

absl::Status BadText(std::string_view what, size_t min) {
  return BadManifest(fmt::format("{} must be a string of {} to {} bytes without control characters",
                                 what, min, kTextMax));
}

// Of "metrics", "data" and "options": not too many, and every key is a text.
absl::Status CheckEntries(std::string_view path, const json& object) {
  if (!object.is_object() || object.size() > kEntriesMax) {
    return BadManifest(
        fmt::format("\"{}\" must be an object of at most {} keys", path, kEntriesMax));
  }
  for (const auto& [key, value] : object.items()) {
    if (!IsText(key, 1))
      return BadText(fmt::format("\"{}\": the key {}", path, QuotedText(key)), 1);
  }
  return absl::OkStatus();
}

// Likewise, of strings, which may be empty.
absl::Status ReadTexts(const std::string& path, const json& object,
                       std::map<std::string, std::string>& texts) {
  if (absl::Status s = CheckEntries(path, object); !s.ok()) return s;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string() || !IsText(value.get_ref<const std::string&>(), 0)) {
      return BadText(fmt::format("\"{}.{}\"", path, key), 0);
    }
    texts[key] = value.get<std::string>();
  }
  return absl::OkStatus();
}

// Reads one JSON object key by key and remembers the first thing that is wrong.
class ObjectReader {
 public:
  ObjectReader(const json& object, std::string path, std::initializer_list<std::string_view> known)
      : object_(object), path_(std::move(path)) {
    if (!object.is_object()) {
      Refuse(fmt::format("\"{}\" must be an object", path_));
      return;
    }
    for (const auto& [key, value] : object.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        Refuse(fmt::format("unknown key {}; known are: {}", QuotedText(path_ + key), Join(known)));
      }
    }
  }

  const json* Get(std::string_view key) {
    if (!status_.ok()) return nullptr;
    const auto at = object_.find(std::string(key));
    if (at != object_.end()) return &*at;
    Refuse(fmt::format("\"{}{}\" is missing", path_, key));
    return nullptr;
  }

  uint64_t Number(std::string_view key, uint64_t min, uint64_t max) {
    const json* value = Get(key);
    if (value == nullptr) return 0;
    if (value->is_number_unsigned()) {
      const auto number = value->get<uint64_t>();
      if (number >= min && number <= max) return number;
    }
    Refuse(fmt::format("\"{}{}\" is {}; it must be an integer from {} to {}", path_, key,
                       value->dump().substr(0, 64), min, max));
    return 0;
  }

  std::string Text(std::string_view key) {
    const json* value = Get(key);
    if (value == nullptr) return "";
    if (value->is_string()) {
      std::string text = value->get<std::string>();
      if (IsText(text, 1)) return text;
    }
    if (status_.ok()) status_ = BadText(fmt::format("\"{}{}\"", path_, key), 1);
    return "";
  }

  void Refuse(std::string_view what) {
    if (status_.ok()) status_ = BadManifest(what);
  }
  const absl::Status& status() const { return status_; }

 private:
  static std::string Join(std::initializer_list<std::string_view> words) {
    std::string joined;
    for (const std::string_view word : words) {
      joined += joined.empty() ? "" : ", ";
      joined += word;
    }
    return joined;
  }

  const json& object_;
  const std::string path_;
  absl::Status status_;
};

bool IsPlainFileName(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  return plain && !name.empty() && name.size() <= kTextMax && name.front() != '.' &&
         name != "manifest.json";
}

bool IsSha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

absl::Status ParseFiles(const json& files, Manifest& manifest) {
  if (!files.is_object() || files.size() > kFilesMax) {
    return BadManifest(fmt::format("\"files\" must be an object of at most {} files", kFilesMax));
  }
  for (const auto& [name, entry] : files.items()) {
    if (!IsPlainFileName(name)) {
      return BadManifest(
          fmt::format("\"files\" names {}; a name holds letters, digits, \".\", \"_\" and "
                      "\"-\" only and is not manifest.json",
                      QuotedText(name)));
    }
    ObjectReader reader(entry, fmt::format("files.{}.", name), {"sha256", "bytes"});
    Manifest::File file{.sha256 = reader.Text("sha256"),
                        .bytes = reader.Number("bytes", 0, kOffsetMax)};
    if (reader.status().ok() && !IsSha256(file.sha256)) {
      reader.Refuse(
          fmt::format("\"files.{}.sha256\" must be 64 lower-case hexadecimal digits", name));
    }
    if (!reader.status().ok()) return reader.status();
    manifest.files.emplace(name, std::move(file));
  }
  return absl::OkStatus();
}

// The strings of an entry of "models" or "encoders".
absl::Status ParseOptions(const std::string& path, ObjectReader& reader,
                          std::map<std::string, std::string>& parsed) {
  const json* options = reader.Get("options");
  if (!reader.status().ok()) return reader.status();
  return ReadTexts(path + "options", *options, parsed);
}

// What models and encoders must keep alike: their file is listed, and none before has their name.
template <typename Entry>
absl::Status CheckFileAndName(const Manifest& manifest, std::span<const Entry> others,
                              std::string_view what, const std::string& path, const Entry& entry) {
  if (!manifest.files.contains(entry.file)) {
    return BadManifest(
        fmt::format("\"{}file\" is \"{}\", which \"files\" does not list", path, entry.file));
  }
  for (const Entry& other : others) {
    if (other.name == entry.name) {
      return BadManifest(fmt::format("two {} are named \"{}\"", what, entry.name));
    }
  }
  return absl::OkStatus();
}

absl::Status ParseModels(const json& models, Manifest& manifest) {
  if (!models.is_array() || models.size() > kModelsMax) {
    return BadManifest(fmt::format("\"models\" must be an array of at most {} models", kModelsMax));
  }
  for (const json& entry : models) {
    const std::string path = fmt::format("models[{}].", manifest.models.size());
    ObjectReader reader(entry, path, {"name", "kind", "file", "options"});
    Manifest::Model model{
        .name = reader.Text("name"), .kind = reader.Text("kind"), .file = reader.Text("file")};
    if (absl::Status s = ParseOptions(path, reader, model.options); !s.ok()) return s;
    if (absl::Status s = CheckFileAndName(
            manifest, std::span<const Manifest::Model>(manifest.models), "models", path, model);
        !s.ok()) {
      return s;
    }
    manifest.models.push_back(std::move(model));
  }
  return absl::OkStatus();
}

absl::Status ParseEncoders(const json& encoders, Manifest& manifest) {
  if (!encoders.is_array() || encoders.size() > kEncodersMax) {
    return BadManifest(
        fmt::format("\"encoders\" must be an array of at most {} encoders", kEncodersMax));
  }
  for (const json& entry : encoders) {
    const std::string path = fmt::format("encoders[{}].", manifest.encoders.size());
    ObjectReader reader(entry, path, {"name", "side", "kind", "file", "options"});
    Manifest::Encoder encoder{
        .name = reader.Text("name"), .kind = reader.Text("kind"), .file = reader.Text("file")};
    const std::string side = reader.Text("side");
    if (reader.status().ok() && side != "user" && side != "item") {
      reader.Refuse(fmt::format("\"{}side\" is \"{}\"; it must be \"user\" or \"item\"", path,
                                side.substr(0, 64)));
    }
    encoder.side = side == "item" ? EncoderSide::kItem : EncoderSide::kUser;
    if (absl::Status s = ParseOptions(path, reader, encoder.options); !s.ok()) return s;
    if (absl::Status s =
            CheckFileAndName(manifest, std::span<const Manifest::Encoder>(manifest.encoders),
                             "encoders", path, encoder);
        !s.ok()) {
      return s;
    }
    manifest.encoders.push_back(std::move(encoder));
  }
  return absl::OkStatus();
}

absl::Status ParseMetrics(const json& metrics, Manifest& manifest) {
  if (absl::Status s = CheckEntries("metrics", metrics); !s.ok()) return s;
  for (const auto& [name, value] : metrics.items()) {
    if (!value.is_number())
      return BadManifest(fmt::format("\"metrics.{}\" must be a number", name));
    manifest.metrics[name] = value.get<double>();
  }
  return absl::OkStatus();
}

// The size of a file that is there; what cannot be looked at is left to ReadFileBytes to report.
std::optional<uint64_t> SizeOf(const std::string& path) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return std::nullopt;
  return size;
}

absl::Status ParseCreateTime(const std::string& create_time, Manifest& manifest) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, create_time, &time, &error)) {
    return BadManifest(fmt::format(
        "\"create_time\" is \"{}\"; it must be like 2011-11-11T12:50:00Z", create_time));
  }
  // Among them "infinite-future".
  if (time < absl::FromCivil(absl::CivilYear(1), absl::UTCTimeZone()) ||
      time >= absl::FromCivil(absl::CivilYear(10'000), absl::UTCTimeZone())) {
    return BadManifest(
        fmt::format("\"create_time\" is \"{}\"; it must be of the years 1 to 9999", create_time));
  }
  manifest.create_time_us = absl::ToUnixMicros(time);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const FileBytes>> ReadManifest(const std::string& directory) {
  const std::string path = fmt::format("{}/{}", directory, kManifestFile);
  if (const auto size = SizeOf(path); size.has_value() && *size > kManifestBytesMax) {
    return absl::InvalidArgumentError(
        fmt::format("manifest.json has {} bytes; at most {} are read", *size, kManifestBytesMax));
  }
  return ReadFileBytes(path);
}

}  // namespace

std::string Manifest::FullVersion() const { return version.empty() ? name : name + "@" + version; }

absl::StatusOr<Manifest> ParseManifest(std::string_view text) {
  if (text.size() > kManifestBytesMax) {
    return BadManifest(
        fmt::format("has {} bytes; at most {} are read", text.size(), kManifestBytesMax));
  }
  const absl::StatusOr<json> parsed = ParseStrictJson(text);
  if (!parsed.ok()) return BadManifest(std::string(parsed.status().message()));
  const json& document = *parsed;
  if (!document.is_object()) return BadManifest("the document must be an object");
  // Another version may have other keys, so it is looked at before them.
  if (document.contains("format_version") && document["format_version"] != kFormatVersion) {
    return BadManifest(fmt::format("\"format_version\" is {}; this server reads {}",
                                   document["format_version"].dump().substr(0, 64),
                                   kFormatVersion));
  }
  ObjectReader reader(document, "",
                      {"format_version", "name", "version", "create_time", "users", "items",
                       "embedding_dim", "user_clusters", "item_clusters", "graph_offset", "models",
                       "encoders", "files", "metrics", "data"});
  Manifest manifest;
  manifest.format_version = static_cast<int>(reader.Number("format_version", 1, kFormatVersion));
  manifest.name = reader.Text("name");
  manifest.version = reader.Text("version");
  manifest.users = reader.Number("users", 0, kUsersMax);
  manifest.items = reader.Number("items", 1, kItemsMax);
  manifest.embedding_dim = static_cast<uint32_t>(reader.Number("embedding_dim", 1, kDimensionMax));
  manifest.user_clusters = static_cast<uint32_t>(reader.Number("user_clusters", 1, kClustersMax));
  manifest.item_clusters = static_cast<uint32_t>(reader.Number("item_clusters", 1, kClustersMax));
  manifest.graph_offset = reader.Number("graph_offset", 0, kOffsetMax);
  const std::string create_time = reader.Text("create_time");
  const json* files = reader.Get("files");
  const json* models = reader.Get("models");
  const json* metrics = reader.Get("metrics");
  if (!reader.status().ok()) return reader.status();

  if (absl::Status s = ParseCreateTime(create_time, manifest); !s.ok()) return s;
  if (absl::Status s = ParseFiles(*files, manifest); !s.ok()) return s;
  if (absl::Status s = ParseModels(*models, manifest); !s.ok()) return s;
  if (absl::Status s = ParseMetrics(*metrics, manifest); !s.ok()) return s;
  if (document.contains("encoders")) {
    if (absl::Status s = ParseEncoders(document["encoders"], manifest); !s.ok()) return s;
  }
  if (document.contains("data")) {
    if (absl::Status s = ReadTexts("data", document["data"], manifest.data); !s.ok()) return s;
  }
  return manifest;
}

absl::StatusOr<std::string> DigestOfSnapshotDirectory(const std::string& directory) {
  const auto manifest_bytes = ReadManifest(directory);
  if (!manifest_bytes.ok()) return manifest_bytes.status();
  return Sha256((*manifest_bytes)->view());
}

absl::Status CheckNothingUnlisted(const std::string& directory, const Manifest& manifest) {
  constexpr std::string_view kOptionalFiles[] = {"blend.json", "encoder_examples.safetensors",
                                                 "examples.safetensors"};
  for (const std::string_view name : kOptionalFiles) {
    std::error_code error;
    const bool is_there = std::filesystem::exists(
        std::filesystem::symlink_status(fmt::format("{}/{}", directory, name), error));
    if (!is_there || manifest.files.contains(std::string(name))) continue;
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is in the directory and not in the manifest's \"files\": list it there "
                    "with its \"sha256\" and \"bytes\", or remove it",
                    name));
  }
  return absl::OkStatus();
}

absl::StatusOr<SnapshotFiles> ReadSnapshotDirectory(const std::string& directory) {
  SnapshotFiles files;
  auto manifest_bytes = ReadManifest(directory);
  if (!manifest_bytes.ok()) return manifest_bytes.status();
  const absl::StatusOr<Manifest> manifest = ParseManifest((*manifest_bytes)->text());
  if (!manifest.ok()) return manifest.status();
  files.files.emplace(kManifestFile, *std::move(manifest_bytes));
  for (const char* needed : {"users.jsonl", "items.jsonl"}) {
    if (manifest->files.contains(needed)) continue;
    return absl::InvalidArgumentError(
        fmt::format("manifest.json lists no file \"{}\"; every snapshot needs it", needed));
  }
  for (const auto& [name, expected] : manifest->files) {
    const std::string path = fmt::format("{}/{}", directory, name);
    if (const auto size = SizeOf(path); size.has_value() && *size != expected.bytes) {
      return absl::DataLossError(fmt::format(
          "\"{}\" has {} bytes, the manifest says {}; copy it again", name, *size, expected.bytes));
    }
    auto bytes = ReadFileBytes(path);
    if (!bytes.ok()) return bytes.status();
    if (Sha256((*bytes)->view()) != expected.sha256) {
      return absl::DataLossError(
          fmt::format("\"{}\" does not match the SHA-256 in the manifest; copy it again", name));
    }
    files.files.emplace(name, *std::move(bytes));
  }
  return files;
}

}  // namespace groundswell
