// FeatureStore: the features of users and items as an online feature store keeps them, packed rows
// of floats in Redis. bench/baseline/prepare.py writes them, in the layout of ToUser and ToItems.
#ifndef GROUNDSWELL_BENCH_BASELINE_FEATURE_STORE_H_
#define GROUNDSWELL_BENCH_BASELINE_FEATURE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct redisContext;
struct redisReply;

namespace groundswell::baseline {

struct FeatureShape {
  size_t user_clusters = 0;  // P
  size_t item_clusters = 0;  // Q
  size_t dim = 0;            // of the user's vector
  size_t history = 0;        // newest items of a user
  size_t item_users = 0;     // newest users of an item
};

struct UserRecord {
  int32_t row = 0;             // of the model's embedding table
  std::vector<float> one_hop;  // Q
  std::vector<float> two_hop;  // P
  std::vector<float> vector;   // dim
  std::vector<int32_t>
      newest;                 // history: rows of the newest items, newest first, 0 behind the last
  std::vector<int32_t> seen;  // indices of all of the user's items, ascending
};

struct ItemRecords {
  std::vector<float> one_hop;         // n x P
  std::vector<float> two_hop;         // n x Q
  std::vector<int32_t> newest_users;  // n x item_users: rows, newest first, 0 behind the last
};

// One connection. Not thread-safe: every thread has its own.
class FeatureStore {
 public:
  static absl::StatusOr<std::unique_ptr<FeatureStore>> Connect(const std::string& unix_socket,
                                                               const FeatureShape& shape);

  // NotFound for a user that Redis does not have.
  absl::Status ReadUser(const std::string& user_id, UserRecord& out);
  // One round trip for all of them.
  absl::Status ReadItems(std::span<const int64_t> items, ItemRecords& out);

 private:
  struct FreeContext {
    void operator()(redisContext* context) const;
  };
  struct FreeReply {
    void operator()(redisReply* reply) const;
  };

  FeatureStore(redisContext* redis, const FeatureShape& shape) : redis_(redis), shape_(shape) {}

  absl::Status ToUser(std::span<const char> value, UserRecord& out) const;
  absl::Status ToItems(const redisReply& reply, ItemRecords& out) const;

  std::unique_ptr<redisContext, FreeContext> redis_;
  const FeatureShape shape_;
  // Of ReadItems, kept so that it need not allocate them anew.
  std::string keys_;
  std::vector<const char*> arguments_;
  std::vector<size_t> lengths_;
};

}  // namespace groundswell::baseline

#endif  // GROUNDSWELL_BENCH_BASELINE_FEATURE_STORE_H_
