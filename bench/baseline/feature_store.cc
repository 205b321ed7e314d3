#include "bench/baseline/feature_store.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include <cstring>
#include <iterator>

namespace groundswell::baseline {
namespace {

// Takes `count` numbers off the front of `bytes`, which holds them.
template <typename T>
void Take(std::span<const char>& bytes, size_t count, T* out) {
  std::memcpy(out, bytes.data(), count * sizeof(T));
  bytes = bytes.subspan(count * sizeof(T));
}

template <typename T>
void Take(std::span<const char>& bytes, size_t count, std::vector<T>& out) {
  out.resize(count);
  Take(bytes, count, out.data());
}

absl::Status WrongLength(size_t length) {
  return absl::DataLossError(
      fmt::format("a value of {} bytes in Redis is not of this snapshot's layout", length));
}

absl::Status Failed(const redisContext& redis, const redisReply* reply) {
  return absl::UnavailableError(
      fmt::format("Redis: {}", reply != nullptr ? reply->str : redis.errstr));
}

}  // namespace

void FeatureStore::FreeContext::operator()(redisContext* context) const { redisFree(context); }
void FeatureStore::FreeReply::operator()(redisReply* reply) const { freeReplyObject(reply); }

absl::StatusOr<std::unique_ptr<FeatureStore>> FeatureStore::Connect(const std::string& unix_socket,
                                                                    const FeatureShape& shape) {
  redisContext* const redis = redisConnectUnix(unix_socket.c_str());
  if (redis == nullptr) return absl::ResourceExhaustedError("no memory for a Redis connection");
  std::unique_ptr<FeatureStore> store(new FeatureStore(redis, shape));
  if (redis->err != 0) {
    return absl::UnavailableError(fmt::format("Redis at {}: {}", unix_socket, redis->errstr));
  }
  return store;
}

absl::Status FeatureStore::ReadUser(const std::string& user_id, UserRecord& out) {
  const std::string key = "u:" + user_id;
  const std::unique_ptr<redisReply, FreeReply> reply(
      static_cast<redisReply*>(redisCommand(redis_.get(), "GET %b", key.data(), key.size())));
  if (reply != nullptr && reply->type == REDIS_REPLY_NIL) {
    return absl::NotFoundError(fmt::format("Redis has no user \"{}\"", user_id));
  }
  if (reply == nullptr || reply->type != REDIS_REPLY_STRING) return Failed(*redis_, reply.get());
  return ToUser({reply->str, reply->len}, out);
}

// int32 row, int32 length of seen; floats one_hop, two_hop, vector; int32 newest, seen.
absl::Status FeatureStore::ToUser(std::span<const char> value, UserRecord& out) const {
  const size_t length = value.size();
  const size_t fixed =
      2 + shape_.item_clusters + shape_.user_clusters + shape_.dim + shape_.history;
  if (length < 4 * fixed) return WrongLength(length);
  int32_t seen = 0;
  Take(value, 1, &out.row);
  Take(value, 1, &seen);
  if (seen < 0 || length != 4 * (fixed + static_cast<size_t>(seen))) return WrongLength(length);
  Take(value, shape_.item_clusters, out.one_hop);
  Take(value, shape_.user_clusters, out.two_hop);
  Take(value, shape_.dim, out.vector);
  Take(value, shape_.history, out.newest);
  Take(value, static_cast<size_t>(seen), out.seen);
  return absl::OkStatus();
}

absl::Status FeatureStore::ReadItems(std::span<const int64_t> items, ItemRecords& out) {
  keys_.clear();
  arguments_.assign(1, "MGET");
  lengths_.assign(1, 4);
  for (const int64_t item : items) {
    const size_t begin = keys_.size();
    fmt::format_to(std::back_inserter(keys_), "i:{}", item);
    lengths_.push_back(keys_.size() - begin);
  }
  const char* key = keys_.data();
  for (size_t i = 0; i < items.size(); ++i) {
    arguments_.push_back(key);
    key += lengths_[i + 1];
  }
  const std::unique_ptr<redisReply, FreeReply> reply(static_cast<redisReply*>(redisCommandArgv(
      redis_.get(), static_cast<int>(arguments_.size()), arguments_.data(), lengths_.data())));
  if (reply == nullptr || reply->type != REDIS_REPLY_ARRAY) return Failed(*redis_, reply.get());
  return ToItems(*reply, out);
}

// Each: floats one_hop, two_hop; int32 newest_users.
absl::Status FeatureStore::ToItems(const redisReply& reply, ItemRecords& out) const {
  const auto [user_clusters, item_clusters, dim, history, item_users] = shape_;
  const size_t length = 4 * (user_clusters + item_clusters + item_users);
  out.one_hop.resize(reply.elements * user_clusters);
  out.two_hop.resize(reply.elements * item_clusters);
  out.newest_users.resize(reply.elements * item_users);
  for (size_t i = 0; i < reply.elements; ++i) {
    const redisReply& one = *reply.element[i];
    if (one.type != REDIS_REPLY_STRING || one.len != length) return WrongLength(one.len);
    std::span<const char> value(one.str, one.len);
    Take(value, user_clusters, &out.one_hop[i * user_clusters]);
    Take(value, item_clusters, &out.two_hop[i * item_clusters]);
    Take(value, item_users, &out.newest_users[i * item_users]);
  }
  return absl::OkStatus();
}

}  // namespace groundswell::baseline
