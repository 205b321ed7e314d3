#include "models/snapshot/examples.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

namespace groundswell {
namespace {

constexpr std::string_view kFeatures[] = {
    "user",         "item",           "u1",     "u2", "i1", "i2", "urec", "irec",
    "urec_time_us", "ufirst_time_us", "unow_us"};
constexpr std::string_view kLogitPrefix = "logit.";
constexpr char kRemedy[] =
    "export weights and examples together again (python3 -m trainer train; python3 -m trainer "
    "examples if the weights are right), or take examples.safetensors out of the manifest and "
    "the directory to serve the snapshot unproved";

// Row r of each; the matrices are row-major and empty where no ranker reads them.
struct Examples {
  size_t rows = 0;
  RankerShape shape;  // the largest of all rankers: the widths of the matrices
  std::vector<uint32_t> user, item, recent_items, recent_users;
  std::vector<int64_t> user_one_hop, user_two_hop, item_one_hop, item_two_hop;
  std::vector<int64_t> recent_times, first_time, now;
};

absl::Status BadExamples(std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", kExamplesFile, what));
}

// A misspelt tensor is not ignored.
absl::Status CheckNames(const SafetensorsFile& file, const Manifest& manifest) {
  for (const auto& [name, tensor] : file.tensors()) {
    const std::string_view text = name;
    if (std::find(std::begin(kFeatures), std::end(kFeatures), text) != std::end(kFeatures)) {
      continue;
    }
    const bool is_logit =
        text.starts_with(kLogitPrefix) &&
        std::any_of(manifest.models.begin(), manifest.models.end(), [&](const auto& model) {
          return text.substr(kLogitPrefix.size()) == model.name;
        });
    if (is_logit) continue;
    return BadExamples(
        fmt::format("tensor \"{}\" is neither a feature ({}) nor the logits (logit.NAME) of a "
                    "model that the manifest lists",
                    name, fmt::join(kFeatures, ", ")));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> CountRows(const SafetensorsFile& file) {
  const auto user = file.tensors().find("user");
  if (user == file.tensors().end() || user->second.shape.size() != 1) {
    return BadExamples(fmt::format(
        "it needs a tensor \"user\" of one dimension, the rows: 1 to {} of them", kExamplesMax));
  }
  const size_t rows = user->second.shape[0];
  if (rows < 1 || rows > kExamplesMax) {
    return BadExamples(
        fmt::format("tensor \"user\" has {} rows; 1 to {} are scored", rows, kExamplesMax));
  }
  return rows;
}

RankerShape LargestOf(std::span<const std::unique_ptr<Ranker>> rankers) {
  RankerShape largest;
  for (const auto& ranker : rankers) {
    const RankerShape shape = ranker->shape();
    largest.user_clusters = std::max(largest.user_clusters, shape.user_clusters);
    largest.item_clusters = std::max(largest.item_clusters, shape.item_clusters);
    largest.recent_items = std::max({largest.recent_items, shape.recent_items, shape.recent_times});
    largest.recent_times = std::max(largest.recent_times, shape.recent_times);
    largest.recent_users = std::max(largest.recent_users, shape.recent_users);
  }
  // Items and their times are matrices of one width.
  if (largest.recent_times > 0) largest.recent_times = largest.recent_items;
  return largest;
}

// The values of a tensor of this shape, each in [0, limit); `meaning` of them is for the error.
absl::StatusOr<std::vector<int64_t>> Read(const SafetensorsFile& file, std::string_view tensor,
                                          std::span<const size_t> shape, uint64_t limit,
                                          std::string_view meaning) {
  const size_t width = shape.size() == 1 ? 1 : shape[1];
  if (shape[0] > kExampleFeaturesMax / width) {
    return BadExamples(
        fmt::format("tensor \"{}\" of {} rows of {} has more than {} numbers; write fewer "
                    "rows",
                    tensor, shape[0], width, kExampleFeaturesMax));
  }
  absl::StatusOr<std::vector<int64_t>> values = file.Integers(tensor, shape);
  if (!values.ok()) return values;
  for (size_t i = 0; i < values->size(); ++i) {
    const int64_t value = (*values)[i];
    if (value >= 0 && static_cast<uint64_t>(value) < limit) continue;
    return BadExamples(fmt::format("tensor \"{}\", row {}: {} is no {}; it must be 0 to {}", tensor,
                                   i / width, value, meaning, limit - 1));
  }
  return values;
}

// `width` 0: a list, not a matrix.
absl::Status ReadRows(const SafetensorsFile& file, std::string_view tensor, size_t rows,
                      size_t width, uint64_t table_rows, std::vector<uint32_t>& out) {
  const std::array<size_t, 2> shape{rows, width};
  const auto values = Read(file, tensor, std::span(shape).first(width == 0 ? 1 : 2), table_rows,
                           "row of an embedding table");
  if (!values.ok()) return values.status();
  out.assign(values->begin(), values->end());
  return absl::OkStatus();
}

absl::Status ReadCounts(const SafetensorsFile& file, std::string_view tensor, size_t rows,
                        size_t width, std::vector<int64_t>& out) {
  const std::array<size_t, 2> shape{rows, width};
  auto values = Read(file, tensor, shape, uint64_t{1} << 63, "count of a macro edge");
  if (!values.ok()) return values.status();
  out = *std::move(values);
  return absl::OkStatus();
}

// When the newest items, the first one and the request were; `width` is of the first alone.
absl::Status ReadTimes(const SafetensorsFile& file, size_t rows, size_t width, Examples& examples) {
  const auto read = [&](std::string_view tensor, size_t columns, std::vector<int64_t>& out) {
    const std::array<size_t, 2> shape{rows, columns};
    auto values = Read(file, tensor, std::span(shape).first(columns == 0 ? 1 : 2),
                       uint64_t{1} << 63, "time in microseconds since 1970");
    if (!values.ok()) return values.status();
    out = *std::move(values);
    return absl::OkStatus();
  };
  absl::Status status = read("urec_time_us", width, examples.recent_times);
  if (status.ok()) status = read("ufirst_time_us", 0, examples.first_time);
  if (status.ok()) status = read("unow_us", 0, examples.now);
  return status;
}

absl::StatusOr<Examples> ReadExamples(const SafetensorsFile& file, const Manifest& manifest,
                                      std::span<const std::unique_ptr<Ranker>> rankers) {
  if (absl::Status s = CheckNames(file, manifest); !s.ok()) return s;
  const absl::StatusOr<size_t> counted = CountRows(file);
  if (!counted.ok()) return counted.status();
  Examples examples{.rows = *counted, .shape = LargestOf(rankers)};
  const size_t rows = examples.rows;
  const RankerShape& shape = examples.shape;
  absl::Status status = ReadRows(file, "user", rows, 0, manifest.users + 1, examples.user);
  if (status.ok()) status = ReadRows(file, "item", rows, 0, manifest.items + 1, examples.item);
  if (status.ok() && shape.item_clusters > 0) {
    status = ReadCounts(file, "u1", rows, shape.item_clusters, examples.user_one_hop);
    if (status.ok()) {
      status = ReadCounts(file, "i2", rows, shape.item_clusters, examples.item_two_hop);
    }
  }
  if (status.ok() && shape.user_clusters > 0) {
    status = ReadCounts(file, "u2", rows, shape.user_clusters, examples.user_two_hop);
    if (status.ok()) {
      status = ReadCounts(file, "i1", rows, shape.user_clusters, examples.item_one_hop);
    }
  }
  if (status.ok() && shape.recent_items > 0) {
    status =
        ReadRows(file, "urec", rows, shape.recent_items, manifest.items + 1, examples.recent_items);
  }
  if (status.ok() && shape.recent_users > 0) {
    status =
        ReadRows(file, "irec", rows, shape.recent_users, manifest.users + 1, examples.recent_users);
  }
  if (status.ok() && shape.recent_times > 0) {
    status = ReadTimes(file, rows, shape.recent_times, examples);
  }
  if (!status.ok()) return status;
  return examples;
}

// Row `row` of a matrix, of which a ranker reads `read` of `width` numbers.
template <typename T>
std::span<const T> ExampleRow(const std::vector<T>& matrix, size_t row, size_t width, size_t read) {
  if (read == 0) return {};
  return std::span(matrix).subspan(row * width, read);
}

// The features of one row as serving gathers them for a ranker of this shape
// (server/pipeline/features.h).
UserFeatures UserOf(const Examples& examples, const RankerShape& shape, size_t row) {
  const RankerShape& all = examples.shape;
  std::span<const uint32_t> recent =
      ExampleRow(examples.recent_items, row, all.recent_items, all.recent_items);
  while (!recent.empty() && recent.back() == 0) recent = recent.first(recent.size() - 1);
  const size_t times = std::min(recent.size(), shape.recent_times);
  const bool reads_times = shape.recent_times > 0;
  return {.row = shape.user_rows > 0 ? examples.user[row] : 0,
          .one_hop = ExampleRow(examples.user_one_hop, row, all.item_clusters, shape.item_clusters),
          .two_hop = ExampleRow(examples.user_two_hop, row, all.user_clusters, shape.user_clusters),
          .recent_items = recent.first(std::min(recent.size(), shape.recent_items)),
          .recent_times_us = ExampleRow(examples.recent_times, row, all.recent_times, times),
          .first_time_us = reads_times ? examples.first_time[row] : 0,
          .now_us = reads_times ? examples.now[row] : 0};
}

ItemFeatures ItemOf(const Examples& examples, const RankerShape& shape, size_t row) {
  const RankerShape& all = examples.shape;
  return {
      .rows = std::span(examples.item).subspan(row, 1),
      .one_hop = ExampleRow(examples.item_one_hop, row, all.user_clusters, shape.user_clusters),
      .two_hop = ExampleRow(examples.item_two_hop, row, all.item_clusters, shape.item_clusters),
      .recent_users = ExampleRow(examples.recent_users, row, all.recent_users, shape.recent_users)};
}

absl::StatusOr<std::vector<float>> Score(const Ranker& ranker, const Examples& examples) {
  const RankerShape shape = ranker.shape();
  const std::unique_ptr<RankerScratch> scratch = ranker.NewScratch(1);
  std::vector<float> logits(examples.rows);
  for (size_t row = 0; row < examples.rows; ++row) {
    const absl::Status scored = ranker.PrepareUser(UserOf(examples, shape, row), *scratch);
    if (!scored.ok()) {
      return BadExamples(fmt::format(
          "model \"{}\" has no score for row {}: {}; leave out rows that not every model scores",
          ranker.name(), row, std::string(scored.message())));
    }
    ranker.ScoreItems(ItemOf(examples, shape, row), *scratch, std::span(logits).subspan(row, 1));
  }
  return logits;
}

// The largest difference of a model's logits; an error if one is beyond the tolerance.
absl::StatusOr<double> Compare(const Manifest::Model& model, std::span<const float> logits,
                               std::span<const float> expected) {
  const auto precision = model.options.find("precision");
  const bool is_bf16 = precision != model.options.end() && precision->second == "bf16";
  const double tolerance = is_bf16 ? kExampleToleranceBf16 : kExampleTolerance;
  double largest = 0, worst_share = 0;
  size_t worst = 0, beyond = 0;
  for (size_t row = 0; row < logits.size(); ++row) {
    double difference = std::abs(double{logits[row]} - double{expected[row]});
    if (std::isnan(difference)) difference = std::numeric_limits<double>::infinity();
    const double share = difference / (tolerance * (1 + std::abs(double{expected[row]})));
    if (share > 1) ++beyond;
    if (share > worst_share) {
      worst_share = share;
      worst = row;
    }
    largest = std::max(largest, difference);
  }
  if (beyond == 0) return largest;
  return BadExamples(fmt::format(
      "model \"{}\" gives row {} the logit {}, the exporter's is {}; at most {} (1 + |logit|) may "
      "lie between, and {} of {} rows are beyond that. {}",
      model.name, worst, logits[worst], expected[worst], tolerance, beyond, logits.size(),
      kRemedy));
}

}  // namespace

absl::StatusOr<ExampleAgreement> CheckExamples(const SafetensorsFile& file,
                                               const Manifest& manifest,
                                               std::span<const std::unique_ptr<Ranker>> rankers) {
  const absl::StatusOr<Examples> examples = ReadExamples(file, manifest, rankers);
  if (!examples.ok()) return examples.status();
  ExampleAgreement agreement{.rows = examples->rows, .max_abs_error = {}};
  for (size_t m = 0; m < manifest.models.size(); ++m) {
    const Manifest::Model& model = manifest.models[m];
    const std::string tensor = std::string(kLogitPrefix) + model.name;
    if (!file.tensors().contains(tensor)) {
      return BadExamples(
          fmt::format("model \"{}\" has no logits: a tensor \"{}\" [{}] F32 is needed, and one for "
                      "every other model of the manifest. {}",
                      model.name, tensor, examples->rows, kRemedy));
    }
    const std::array<size_t, 1> shape{examples->rows};
    const auto expected = file.Floats(tensor, shape);
    if (!expected.ok()) return expected.status();
    const absl::StatusOr<std::vector<float>> logits = Score(*rankers[m], *examples);
    if (!logits.ok()) return logits.status();
    const absl::StatusOr<double> largest = Compare(model, *logits, *expected);
    if (!largest.ok()) return largest.status();
    agreement.max_abs_error.emplace_back(model.name, *largest);
  }
  return agreement;
}

absl::StatusOr<ExampleAgreement> CheckExamples(const Snapshot& snapshot,
                                               const SnapshotFiles& files) {
  ExampleAgreement agreement;
  if (const auto at = files.files.find(kExamplesFile); at != files.files.end()) {
    const absl::StatusOr<SafetensorsFile> file = SafetensorsFile::Parse(kExamplesFile, at->second);
    if (!file.ok()) return file.status();
    auto of_rankers = CheckExamples(*file, snapshot.manifest(), snapshot.rankers());
    if (!of_rankers.ok()) return of_rankers;
    agreement = *std::move(of_rankers);
  }
  if (const auto at = files.files.find(kEncoderExamplesFile); at != files.files.end()) {
    const auto file = SafetensorsFile::Parse(kEncoderExamplesFile, at->second);
    if (!file.ok()) return file.status();
    auto of_encoders = CheckEncoderExamples(*file, snapshot.manifest(), snapshot.encoders(),
                                            snapshot.trained_vectors());
    if (!of_encoders.ok()) return of_encoders.status();
    agreement.encoders = *std::move(of_encoders);
  }
  agreement.has_encoders = !snapshot.encoders().empty();
  return agreement;
}

std::string Describe(const ExampleAgreement& agreement) {
  std::string text =
      agreement.rows == 0
          ? fmt::format("unproved: the snapshot has no {} (docs/snapshot.md)", kExamplesFile)
          : fmt::format("proved by {} examples", agreement.rows);
  std::string_view separator = ":";
  for (const auto& [model, error] : agreement.max_abs_error) {
    text += fmt::format("{} {} within {:.2g}", separator, model, error);
    separator = ",";
  }
  if (agreement.has_encoders && agreement.encoders.empty()) {
    text += fmt::format("; encoders unproved: the snapshot has no {}", kEncoderExamplesFile);
  }
  separator = "; encoders:";
  for (const EncoderAgreement& encoder : agreement.encoders) {
    text += fmt::format("{} {} within {:.2g} by {} examples", separator, encoder.encoder,
                        encoder.max_abs_error, encoder.targets);
    separator = ",";
  }
  return text;
}

}  // namespace groundswell
