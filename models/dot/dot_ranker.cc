#include "models/dot/dot_ranker.h"

#include <fmt/format.h>

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
  std::span<const float> user;
};

class DotRanker final : public Ranker {
 public:
  DotRanker(std::string name, SafetensorsFile file, Embeddings users, Embeddings items)
      : name_(std::move(name)), file_(std::move(file)), users_(users), items_(items) {}

  std::string_view name() const override { return name_; }

  RankerShape shape() const override {
    return {.user_rows = users_.rows() + 1, .item_rows = items_.rows() + 1};
  }

  std::unique_ptr<RankerScratch> NewScratch(size_t /*block_size*/) const override {
    return std::make_unique<DotScratch>();
  }

  absl::Status PrepareUser(const UserFeatures& user, RankerScratch& scratch) const override {
    if (user.row == 0) {
      return absl::FailedPreconditionError(
          "the user came after the snapshot, which has no embedding of it");
    }
    static_cast<DotScratch&>(scratch).user = users_.Row(user.row);
    return absl::OkStatus();
  }

  void ScoreItems(const ItemFeatures& items, RankerScratch& scratch,
                  std::span<float> logits) const override {
    const std::span<const float> user = static_cast<DotScratch&>(scratch).user;
    for (size_t i = 0; i < logits.size(); ++i) {
      logits[i] = items.rows[i] == 0 ? -std::numeric_limits<float>::infinity()
                                     : Dot(user, items_.Row(items.rows[i]));
    }
  }

 private:
  const std::string name_;
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
    return absl::InvalidArgumentError(
        fmt::format("{}: tensor \"{}\" must be a matrix that is not empty", file.name(), tensor));
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
  return std::unique_ptr<Ranker>(new DotRanker(model.name, file, *users, *items));
}

}  // namespace groundswell
