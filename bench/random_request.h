// One ranking request with random features, of the shape that any ranker asks for; for benchmarks
// and for counting instructions.
//
//   const auto ranker = ReadRanker("macgnn-none.safetensors");
//   const RandomRequest request((*ranker)->shape(), 500, (*ranker)->shape().recent_items);
//   const absl::Status scored = ScoreRequest(**ranker, request, *scratch, logits);
#ifndef GROUNDSWELL_BENCH_RANDOM_REQUEST_H_
#define GROUNDSWELL_BENCH_RANDOM_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/files/manifest.h"
#include "models/item_cache.h"
#include "models/ranker.h"

namespace groundswell {

// How many candidates the server scores at once, as server/pipeline/pipeline.cc has it.
inline constexpr size_t kBlockSize = 120;

// Counts spread over the sizes that graphs have. The same arguments give the same features.
struct RandomRequest {
  // `history` newest items of the user, at most what the ranker reads.
  RandomRequest(const RankerShape& shape, size_t candidates, size_t history);

  size_t size() const { return items.size(); }
  UserFeatures User() const;
  ItemFeatures Items(size_t begin, size_t count) const;

  RankerShape shape;
  uint32_t user = 0;
  std::vector<int64_t> user_one_hop;        // Q
  std::vector<int64_t> user_two_hop;        // P
  std::vector<uint32_t> recent_items;       // newest first
  std::vector<int64_t> recent_times_us;     // an hour between two; where the ranker reads them
  std::vector<uint32_t> items;              // n
  std::vector<int64_t> item_one_hop;        // n x P
  std::vector<int64_t> item_two_hop;        // n x Q
  std::vector<uint32_t> item_recent_users;  // n x recent_users
};

// How a model is to be served, from its weights file's metadata: `kind`, and the options.
Manifest::Model ModelOf(const std::string& name, const SafetensorsFile& file);

// The ranker of a weights file that random_weights.py wrote; `precision` is "f32" or "bf16".
absl::StatusOr<std::unique_ptr<Ranker>> ReadRanker(const std::string& path,
                                                   const std::string& precision = "f32");

// One request as the server ranks it, in blocks. `scratch` has room for kBlockSize. The error is
// PrepareUser's.
absl::Status ScoreRequest(const Ranker& ranker, const RandomRequest& request,
                          RankerScratch& scratch, std::span<float> logits);

// Scores the same request again and again where nothing of the items has changed: from the second
// time on, what the ranker prepares of items is there already.
class KeptRequest {
 public:
  // REQUIRES: ranker.prepared_width() > 0; both outlive this.
  KeptRequest(const Ranker& ranker, const RandomRequest& request);

  absl::Status Score(RankerScratch& scratch, std::span<float> logits);

 private:
  const Ranker& ranker_;
  const RandomRequest& request_;
  ItemCache cache_;
  std::vector<uint32_t> numbers_;  // candidates are items of their own
  std::vector<int64_t> versions_;
  std::vector<uint32_t> missing_;
  std::vector<float> prepared_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_BENCH_RANDOM_REQUEST_H_
