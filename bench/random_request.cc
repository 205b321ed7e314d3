#include "bench/random_request.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "models/snapshot/registry.h"

namespace groundswell {
namespace {

// The distributions of <random> differ between libraries; the generator does not.
class RandomNumbers {
 public:
  std::vector<int64_t> Counts(size_t size) {
    std::vector<int64_t> values(size);
    for (int64_t& value : values) {
      const uint64_t limit = uint64_t{1} << random_() % 18;
      value = static_cast<int64_t>(random_() % limit);
    }
    return values;
  }

  // Rows of a table of `table_rows`, never row 0; all 0 where there is no table.
  std::vector<uint32_t> Rows(size_t size, size_t table_rows) {
    std::vector<uint32_t> values(size);
    if (table_rows < 2) return values;
    for (uint32_t& value : values) value = static_cast<uint32_t>(1 + random_() % (table_rows - 1));
    return values;
  }

 private:
  std::mt19937_64 random_{1};
};

constexpr int64_t kNowUs = 1'700'000'000'000'000;
constexpr int64_t kHourUs = 3'600'000'000;

// The part of a request's matrix that belongs to some of its candidates.
template <typename T>
std::span<const T> Part(const std::vector<T>& all, size_t rows, size_t begin, size_t count) {
  const size_t width = rows == 0 ? 0 : all.size() / rows;
  return std::span(all).subspan(begin * width, count * width);
}

}  // namespace

RandomRequest::RandomRequest(const RankerShape& ranker_shape, size_t candidates, size_t history)
    : shape(ranker_shape) {
  RandomNumbers random;
  user = shape.user_rows > 1 ? 1 : 0;
  user_one_hop = random.Counts(shape.item_clusters);
  user_two_hop = random.Counts(shape.user_clusters);
  recent_items = random.Rows(std::min(history, shape.recent_items), shape.item_rows);
  if (shape.recent_times > 0) {
    for (size_t i = 0; i < recent_items.size(); ++i) {
      recent_times_us.push_back(kNowUs - static_cast<int64_t>(i + 1) * kHourUs);
    }
  }
  items = random.Rows(candidates, shape.item_rows);
  item_one_hop = random.Counts(candidates * shape.user_clusters);
  item_two_hop = random.Counts(candidates * shape.item_clusters);
  item_recent_users = random.Rows(candidates * shape.recent_users, shape.user_rows);
}

UserFeatures RandomRequest::User() const {
  return {.row = user,
          .one_hop = user_one_hop,
          .two_hop = user_two_hop,
          .recent_items = recent_items,
          .recent_times_us = recent_times_us,
          .first_time_us = recent_times_us.empty() ? 0 : recent_times_us.back(),
          .now_us = recent_times_us.empty() ? 0 : kNowUs};
}

ItemFeatures RandomRequest::Items(size_t begin, size_t count) const {
  return {.rows = Part(items, size(), begin, count),
          .one_hop = Part(item_one_hop, size(), begin, count),
          .two_hop = Part(item_two_hop, size(), begin, count),
          .recent_users = Part(item_recent_users, size(), begin, count)};
}

Manifest::Model ModelOf(const std::string& name, const SafetensorsFile& file) {
  Manifest::Model model{.name = name, .file = file.name(), .options = file.metadata()};
  if (auto kind = model.options.extract("kind"); !kind.empty()) model.kind = kind.mapped();
  return model;
}

absl::StatusOr<std::unique_ptr<Ranker>> ReadRanker(const std::string& path,
                                                   const std::string& precision) {
  const auto bytes = ReadFileBytes(path);
  if (!bytes.ok()) return bytes.status();
  const auto file = SafetensorsFile::Parse(path, *bytes);
  if (!file.ok()) return file.status();
  Manifest::Model model = ModelOf(path, *file);
  if (precision != "f32") model.options["precision"] = precision;
  return MakeRanker(model, *file);
}

absl::Status ScoreRequest(const Ranker& ranker, const RandomRequest& request,
                          RankerScratch& scratch, std::span<float> logits) {
  if (absl::Status s = ranker.PrepareUser(request.User(), scratch); !s.ok()) return s;
  for (size_t begin = 0; begin < request.size(); begin += kBlockSize) {
    const size_t count = std::min(kBlockSize, request.size() - begin);
    ranker.ScoreItems(request.Items(begin, count), scratch, logits.subspan(begin, count));
  }
  return absl::OkStatus();
}

KeptRequest::KeptRequest(const Ranker& ranker, const RandomRequest& request)
    : ranker_(ranker),
      request_(request),
      cache_(request.size(), ranker.prepared_width(), size_t{1} << 30),
      numbers_(request.size()),
      versions_(request.size()),
      prepared_(kBlockSize * ranker.prepared_width()) {
  std::iota(numbers_.begin(), numbers_.end(), 0u);
}

absl::Status KeptRequest::Score(RankerScratch& scratch, std::span<float> logits) {
  if (absl::Status s = ranker_.PrepareUser(request_.User(), scratch); !s.ok()) return s;
  const size_t width = ranker_.prepared_width();
  for (size_t begin = 0; begin < request_.size(); begin += kBlockSize) {
    const size_t count = std::min(kBlockSize, request_.size() - begin);
    const auto prepared = std::span(prepared_).first(count * width);
    const auto numbers = std::span<const uint32_t>(numbers_).subspan(begin, count);
    missing_.clear();
    cache_.Read(numbers, std::span(versions_).subspan(begin, count), prepared, missing_);
    if (!missing_.empty()) {
      ranker_.PrepareItems(request_.Items(begin, count), scratch, prepared);
      for (size_t i = 0; i < count; ++i) {
        cache_.Write(numbers[i], 0, prepared.subspan(i * width, width));
      }
    }
    ranker_.ScorePrepared(prepared, scratch, logits.subspan(begin, count));
  }
  return absl::OkStatus();
}

}  // namespace groundswell
