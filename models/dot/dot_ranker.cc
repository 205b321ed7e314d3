#include "models/dot/dot_ranker.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <limits>
#include <string>
#include <utility>

#include "models/math/elementwise.h"

namespace groundswell {
namespace {

// Rows of d floats, as a tensor holds them.
struct Embeddings {
  std::span<const float> values;
  size_t width = 0;

  size_t rows() const { return values.size() / width; }
  // REQUIRES: row > 0.
  std::span<const float> Row(uint32_t row) const {
    return values.subspan((size_t{row} - 1) * width, width);
  }
};

struct DotScratch final : RankerScratch {
  // Which hold as long as the prepared user's features do.
  std::span<const float> user;
};

class DotRanker final : public Ranker {
 public:
  DotRanker(const Manifest::Model& model, SafetensorsFile file, Embeddings users, Embeddings items)
      : name_(model.name),
        reads_live_vectors_(model.file == kEmbeddingsFile),
        file_(std::move(file)),
        users_(users),
        items_(items) {}

  std::string_view name() const override { return name_; }

  RankerShape shape() const override {
    return {.user_rows = users_.rows() + 1,
            .item_rows = items_.rows() + 1,
            .vector_width = reads_live_vectors_ ? users_.width : 0};
  }

  std::unique_ptr<RankerScratch> NewScratch(size_t /*block_size*/) const override {
    return std::make_unique<DotScratch>();
  }

  absl::Status PrepareUser(const UserFeatures& user, RankerScratch& scratch) const override {
    if (user.vector.empty() && user.row == 0) {
      return absl::FailedPreconditionError(
          "the user came after the snapshot and took nothing that has an embedding");
    }
    static_cast<DotScratch&>(scratch).user =
        user.vector.empty() ? users_.Row(user.row) : user.vector;
    return absl::OkStatus();
  }

  void ScoreItems(const ItemFeatures& items, RankerScratch& scratch,
                  std::span<float> logits) const override {
    const std::span<const float> user = static_cast<DotScratch&>(scratch).user;
    for (size_t i = 0; i < logits.size(); ++i) {
      const std::span<const float> item = ItemVector(items, i);
      logits[i] = item.empty() ? -std::numeric_limits<float>::infinity() : Dot(user, item);
    }
  }

 private:
  std::span<const float> ItemVector(const ItemFeatures& items, size_t i) const {
    if (!items.vectors.empty()) return items.vectors[i];
    return items.rows[i] == 0 ? std::span<const float>() : items_.Row(items.rows[i]);
  }

  const std::string name_;
  const bool reads_live_vectors_;
  const SafetensorsFile file_;  // holds what the tables below view
  const Embeddings users_;
  const Embeddings items_;
};

absl::StatusOr<Embeddings> ReadTable(const SafetensorsFile& file, const std::string& tensor) {
  const auto at = file.tensors().find(tensor);
  if (at == file.tensors().end()) {
    return absl::NotFoundError(
        fmt::format("{}: tensor \"{}\" is missing; a dot model's file holds \"user\" and \"item\", "
                    "as embeddings.safetensors does",
                    file.name(), tensor));
  }
  const std::vector<size_t>& shape = at->second.shape;
  if (shape.size() != 2 || shape[0] == 0 || shape[1] == 0) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: tensor \"{}\" has shape [{}]; for a dot model it must be a matrix of at least "
        "one row. Leave dot models out of the manifest where no user was trained",
        file.name(), tensor, fmt::join(shape, ", ")));
  }
  const auto values = file.Floats(tensor, shape);
  if (!values.ok()) return values.status();
  return Embeddings{.values = *values, .width = shape[1]};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Ranker>> MakeDotRanker(const Manifest::Model& model,
                                                      const SafetensorsFile& file) {
  if (!model.options.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("manifest.json: model \"{}\": option \"{}\" is not known; a dot model takes "
                    "none",
                    model.name, model.options.begin()->first));
  }
  const absl::StatusOr<Embeddings> users = ReadTable(file, "user");
  if (!users.ok()) return users.status();
  const absl::StatusOr<Embeddings> items = ReadTable(file, "item");
  if (!items.ok()) return items.status();
  if (users->width != items->width) {
    return absl::InvalidArgumentError(
        fmt::format("{}: the rows of \"user\" have {} numbers, those of \"item\" {}; a dot product "
                    "needs them alike",
                    file.name(), users->width, items->width));
  }
  return std::unique_ptr<Ranker>(new DotRanker(model, file, *users, *items));
}

}  // namespace groundswell
