// Dense indices and positions used inside the server. Outside, users and items are opaque strings.
#ifndef GROUNDSWELL_GRAPH_IDS_H_
#define GROUNDSWELL_GRAPH_IDS_H_

#include <compare>
#include <cstdint>

namespace groundswell {

// Position of an item in the catalogue, from 0.
enum class ItemIndex : uint32_t {};
// Position of a user: those of the snapshot first, then the users of the log in order of arrival.
enum class UserIndex : uint32_t {};

constexpr uint32_t ToInt(ItemIndex item) { return static_cast<uint32_t>(item); }
constexpr uint32_t ToInt(UserIndex user) { return static_cast<uint32_t>(user); }

// Number of a behaviour cluster: 0..P-1 of users, 0..Q-1 of items. The MacGNN paper, and so the
// API, calls clusters macro nodes.
using Cluster = uint32_t;

// Position of an interaction in the log, from 1; 0 is "before the first".
using Offset = int64_t;

// A summed weight. Exact: every macro edge is an integer.
using Count = int64_t;

// Times are microseconds since 1970.
inline constexpr int64_t kMicrosPerSecond = 1'000'000;
inline constexpr int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;

// When an interaction happened, with its offset to order those of the same instant. Recency in the
// whole system means this order, never the order of arrival alone.
struct Recency {
  int64_t time_us = 0;
  Offset offset = 0;
  auto operator<=>(const Recency&) const = default;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_IDS_H_
