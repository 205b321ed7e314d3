#include "blend/weights_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "models/files/strict_json.h"

namespace groundswell {
namespace {

using nlohmann::json;

constexpr size_t kQuotedMax = 64;

absl::Status Bad(std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", kBlendWeightsFile, what));
}

std::optional<size_t> FindRow(std::string_view name) {
  for (size_t row = 0; row < BlendWeights::kRows; ++row) {
    if (kBlendContexts[row] == name) return row;
  }
  return std::nullopt;
}

std::optional<size_t> FindFeature(std::string_view name) {
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    if (BlendFeatureName(feature) == name) return feature;
  }
  return std::nullopt;
}

absl::Status ReadRow(const json& object, std::string_view row_name, BlendWeights::Row& row) {
  if (!object.is_object()) {
    return Bad(fmt::format("\"{}\" must be an object of numbers by feature", row_name));
  }
  for (const auto& [name, value] : object.items()) {
    const std::optional<size_t> feature = FindFeature(name);
    if (!feature.has_value()) {
      return Bad(fmt::format("\"{}\" has \"{}\", which is no feature; see docs/retrieval.md",
                             row_name, name.substr(0, kQuotedMax)));
    }
    const double weight = value.is_number() ? value.get<double>() : std::nan("");
    if (!(std::abs(weight) <= BlendWeights::kMax)) {
      return Bad(fmt::format("\"{}\" of \"{}\" must be a number from -{} to {}", name, row_name,
                             BlendWeights::kMax, BlendWeights::kMax));
    }
    row[*feature] = static_cast<float>(weight);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BlendWeights> ParseBlendWeights(std::string_view text) {
  const absl::StatusOr<json> document = ParseStrictJson(text);
  if (!document.ok()) return Bad(std::string(document.status().message()));
  if (!document->is_object() || document->size() != 2 || !document->contains("format_version") ||
      !document->contains("weights")) {
    return Bad("it must be an object of \"format_version\" and \"weights\"");
  }
  const json& version = (*document)["format_version"];
  if (!version.is_number_integer() || version != 1) return Bad("\"format_version\" must be 1");
  const json& rows = (*document)["weights"];
  if (!rows.is_object()) return Bad("\"weights\" must be an object");
  BlendWeights weights;
  for (const auto& [name, object] : rows.items()) {
    const std::optional<size_t> row = FindRow(name);
    if (!row.has_value()) {
      return Bad(fmt::format("\"weights\" has \"{}\"; it may have {}", name.substr(0, kQuotedMax),
                             fmt::join(kBlendContexts, ", ")));
    }
    if (absl::Status s = ReadRow(object, name, weights.rows[*row]); !s.ok()) return s;
  }
  constexpr auto kUnseen = static_cast<size_t>(BlendContext::kReturningUnseen);
  if (!rows.contains(kBlendContexts[kUnseen])) {
    weights.rows[kUnseen] = weights.Of(BlendContext::kReturning);
  }
  return weights;
}

std::string PrintBlendWeights(const BlendWeights& weights) {
  json rows = json::object();
  for (size_t row = 0; row < BlendWeights::kRows; ++row) {
    json& object = rows[std::string(kBlendContexts[row])] = json::object();
    for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
      const float weight = weights.rows[row][feature];
      if (weight != 0) object[BlendFeatureName(feature)] = double{weight};
    }
  }
  return json{{"format_version", 1}, {"weights", std::move(rows)}}.dump(1) + "\n";
}

}  // namespace groundswell
