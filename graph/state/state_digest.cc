#include "graph/state/state_digest.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <type_traits>

namespace groundswell {
namespace {

using Sum = unsigned __int128;

// What kind of fact was hashed, so that a user and an item of the same id differ.
enum Fact : uint64_t { kUserFact = 1, kItemFact = 2, kEdgeFact = 3 };

Sum ToSum(XXH128_hash_t hash) { return Sum{hash.high64} << 64 | hash.low64; }

XXH128_hash_t HashText(std::string_view text) { return XXH3_128bits(text.data(), text.size()); }

struct NodeFact {
  uint64_t fact;
  uint64_t id_high, id_low;
  uint64_t cluster;
};

struct EdgeFact {
  uint64_t fact;
  uint64_t user_high, user_low, item_high, item_low;
  uint64_t count;
  int64_t time_us, offset;
};

static_assert(std::has_unique_object_representations_v<NodeFact>);
static_assert(std::has_unique_object_representations_v<EdgeFact>);

Sum HashNode(Fact kind, std::string_view id, Cluster cluster) {
  const XXH128_hash_t hash = HashText(id);
  const NodeFact fact{kind, hash.high64, hash.low64, cluster};
  return ToSum(XXH3_128bits(&fact, sizeof(fact)));
}

Sum HashEdges(std::string_view user_id, std::string_view item_id, std::span<const Edge> edges) {
  if (edges.empty()) return 0;
  const XXH128_hash_t user = HashText(user_id);
  const XXH128_hash_t item = HashText(item_id);
  Sum sum = 0;
  for (const Edge& edge : edges) {
    const EdgeFact fact{kEdgeFact,  user.high64, user.low64,        item.high64,
                        item.low64, edge.count,  edge.last.time_us, edge.last.offset};
    sum += ToSum(XXH3_128bits(&fact, sizeof(fact)));
  }
  return sum;
}

}  // namespace

StateDigest::StateDigest(Words words) : sum_(Sum{words.high} << 64 | words.low) {}

void StateDigest::AddUser(std::string_view user_id, Cluster cluster) {
  sum_ += HashNode(kUserFact, user_id, cluster);
}
void StateDigest::RemoveUser(std::string_view user_id, Cluster cluster) {
  sum_ -= HashNode(kUserFact, user_id, cluster);
}
void StateDigest::AddEdges(std::string_view user_id, std::string_view item_id,
                           std::span<const Edge> edges) {
  sum_ += HashEdges(user_id, item_id, edges);
}
void StateDigest::RemoveEdges(std::string_view user_id, std::string_view item_id,
                              std::span<const Edge> edges) {
  sum_ -= HashEdges(user_id, item_id, edges);
}
void StateDigest::AddItem(std::string_view item_id, Cluster cluster) {
  sum_ += HashNode(kItemFact, item_id, cluster);
}
void StateDigest::RemoveItem(std::string_view item_id, Cluster cluster) {
  sum_ -= HashNode(kItemFact, item_id, cluster);
}

StateDigest::Words StateDigest::words() const {
  return {.high = static_cast<uint64_t>(sum_ >> 64), .low = static_cast<uint64_t>(sum_)};
}

std::string StateDigest::ToString() const {
  return fmt::format("{:016x}{:016x}", words().high, words().low);
}

}  // namespace groundswell
