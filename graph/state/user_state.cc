#include "graph/state/user_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <type_traits>

namespace groundswell {
namespace {

constexpr uint8_t kVersion = 2;

struct Header {
  uint8_t version = kVersion;
  uint8_t reserved[3] = {};
  uint32_t index = 0;
  uint32_t cluster = 0;
  uint32_t edge_count = 0;
  int64_t changed_at = 0;
};

static_assert(std::endian::native == std::endian::little, "records are copied, not converted");
static_assert(sizeof(Header) == 24 && std::is_trivially_copyable_v<Header>);
static_assert(sizeof(Edge) == 24 && std::is_trivially_copyable_v<Edge>);

// The edges to one item ascend by recency.
bool IsNewestOfItem(const UserState& user, size_t i) {
  return i + 1 == user.edges.size() || user.edges[i + 1].item != user.edges[i].item;
}

}  // namespace

std::span<const Edge> UserState::EdgesTo(ItemIndex item) const {
  const auto [begin, end] =
      std::equal_range(edges.begin(), edges.end(), Edge{.item = item},
                       [](const Edge& a, const Edge& b) { return a.item < b.item; });
  return {begin, end};
}

size_t UserState::item_count() const {
  size_t count = 0;
  for (size_t i = 0; i < edges.size(); ++i) count += IsNewestOfItem(*this, i);
  return count;
}

void NewestEdges(const UserState& user, size_t limit, std::vector<uint32_t>& out) {
  out.clear();
  for (size_t i = 0; i < user.edges.size(); ++i) {
    if (IsNewestOfItem(user, i)) out.push_back(static_cast<uint32_t>(i));
  }
  const size_t kept = std::min(limit, out.size());
  std::partial_sort(out.begin(), out.begin() + static_cast<ptrdiff_t>(kept), out.end(),
                    [&](uint32_t a, uint32_t b) {
                      const Edge& x = user.edges[a];
                      const Edge& y = user.edges[b];
                      return x.last != y.last ? x.last > y.last : x.item > y.item;
                    });
  out.resize(kept);
}

void EncodeUserState(const UserState& user, std::string& out) {
  const Header header{.index = ToInt(user.index),
                      .cluster = user.cluster,
                      .edge_count = static_cast<uint32_t>(user.edges.size()),
                      .changed_at = user.changed_at};
  out.resize(sizeof(Header) + user.edges.size() * sizeof(Edge));
  std::memcpy(out.data(), &header, sizeof(Header));
  if (!user.edges.empty()) {
    std::memcpy(out.data() + sizeof(Header), user.edges.data(), user.edges.size() * sizeof(Edge));
  }
}

absl::StatusOr<UserState> DecodeUserState(std::string_view record) {
  Header header;
  if (record.size() < sizeof(Header)) {
    return absl::DataLossError(
        fmt::format("user record of {} bytes is shorter than its header", record.size()));
  }
  std::memcpy(&header, record.data(), sizeof(Header));
  if (header.version != kVersion) {
    return absl::DataLossError(fmt::format(
        "user record has version {}; this server reads version {}", header.version, kVersion));
  }
  if (std::any_of(std::begin(header.reserved), std::end(header.reserved),
                  [](uint8_t byte) { return byte != 0; })) {
    return absl::DataLossError("user record has a reserved byte that is not 0");
  }
  if ((record.size() - sizeof(Header)) / sizeof(Edge) != header.edge_count ||
      (record.size() - sizeof(Header)) % sizeof(Edge) != 0) {
    return absl::DataLossError(
        fmt::format("user record of {} bytes does not hold the {} edges that it announces",
                    record.size(), header.edge_count));
  }
  UserState user{.index = UserIndex{header.index},
                 .cluster = header.cluster,
                 .changed_at = header.changed_at,
                 .edges = {}};
  user.edges.resize(header.edge_count);
  if (header.edge_count > 0) {
    std::memcpy(user.edges.data(), record.data() + sizeof(Header),
                header.edge_count * sizeof(Edge));
  }
  for (size_t i = 0; i < user.edges.size(); ++i) {
    const Edge& edge = user.edges[i];
    const bool in_order =
        i == 0 || user.edges[i - 1].item < edge.item ||
        (user.edges[i - 1].item == edge.item && user.edges[i - 1].last < edge.last);
    if (edge.count == 0 || !in_order) {
      return absl::DataLossError(fmt::format("user record has a broken edge at position {}", i));
    }
  }
  return user;
}

}  // namespace groundswell
