#include "graph/state/user_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <type_traits>

namespace groundswell {
namespace {

constexpr uint8_t kUserVersion = 2;
constexpr uint8_t kUserVersionWithHidden = 3;

struct Header {
  uint8_t version = kUserVersion;
  uint8_t reserved[3] = {};
  uint32_t index = 0;
  uint32_t cluster = 0;
  uint32_t edge_count = 0;
  int64_t changed_at = 0;
};

static_assert(std::endian::native == std::endian::little, "records are copied, not converted");
static_assert(sizeof(Header) == 24 && std::is_trivially_copyable_v<Header>);
static_assert(sizeof(Edge) == 24 && std::is_trivially_copyable_v<Edge>);
static_assert(sizeof(HiddenItem) == 16 && std::is_trivially_copyable_v<HiddenItem>);

// The edges to one item ascend by recency.
bool IsNewestOfItem(const UserState& user, size_t i) {
  return i + 1 == user.edges.size() || user.edges[i + 1].item != user.edges[i].item;
}

// Of so many hidden items and their count, which is there only if they are.
size_t HiddenBytes(size_t count) {
  return count == 0 ? 0 : sizeof(uint64_t) + count * sizeof(HiddenItem);
}

// Where the item is among the hidden ones, or would be.
std::vector<HiddenItem>::iterator PlaceOf(UserState& user, ItemIndex item) {
  return std::lower_bound(
      user.hidden.begin(), user.hidden.end(), item,
      [](const HiddenItem& one, ItemIndex wanted) { return one.item < wanted; });
}

template <typename T>
char* Append(const std::vector<T>& values, char* out) {
  if (!values.empty()) std::memcpy(out, values.data(), values.size() * sizeof(T));
  return out + values.size() * sizeof(T);
}

template <typename T>
void TakeFrom(std::string_view& record, size_t count, std::vector<T>& out) {
  out.resize(count);
  if (count > 0) std::memcpy(out.data(), record.data(), count * sizeof(T));
  record.remove_prefix(count * sizeof(T));
}

absl::Status CheckOrder(const UserState& user) {
  for (size_t i = 0; i < user.edges.size(); ++i) {
    const Edge& edge = user.edges[i];
    const bool in_order =
        i == 0 || user.edges[i - 1].item < edge.item ||
        (user.edges[i - 1].item == edge.item && user.edges[i - 1].last < edge.last);
    if (edge.count == 0 || !in_order) {
      return absl::DataLossError(fmt::format("user record has a broken edge at position {}", i));
    }
  }
  for (size_t i = 0; i < user.hidden.size(); ++i) {
    if (user.hidden[i].reserved != 0 || (i > 0 && user.hidden[i].item <= user.hidden[i - 1].item)) {
      return absl::DataLossError(
          fmt::format("user record has a broken hidden item at position {}", i));
    }
  }
  return absl::OkStatus();
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

void Hide(UserState& user, ItemIndex item, int64_t time_us) {
  for (const Edge& edge : user.EdgesTo(item)) {
    if (edge.last.time_us > time_us) return;
  }
  const auto at = PlaceOf(user, item);
  if (at == user.hidden.end() || at->item != item) {
    user.hidden.insert(at, {.item = item, .time_us = time_us});
  } else {
    at->time_us = std::max(at->time_us, time_us);
  }
}

void Reveal(UserState& user, ItemIndex item, int64_t time_us) {
  const auto at = PlaceOf(user, item);
  if (at != user.hidden.end() && at->item == item && at->time_us < time_us) user.hidden.erase(at);
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
  const Header header{.version = user.hidden.empty() ? kUserVersion : kUserVersionWithHidden,
                      .index = ToInt(user.index),
                      .cluster = user.cluster,
                      .edge_count = static_cast<uint32_t>(user.edges.size()),
                      .changed_at = user.changed_at};
  out.resize(sizeof(Header) + user.edges.size() * sizeof(Edge) + HiddenBytes(user.hidden.size()));
  std::memcpy(out.data(), &header, sizeof(Header));
  char* const end = Append(user.edges, out.data() + sizeof(Header));
  if (user.hidden.empty()) return;
  const uint64_t count = user.hidden.size();
  std::memcpy(end, &count, sizeof count);
  Append(user.hidden, end + sizeof count);
}

absl::StatusOr<UserState> DecodeUserState(std::string_view record) {
  Header header;
  if (record.size() < sizeof(Header)) {
    return absl::DataLossError(
        fmt::format("user record of {} bytes is shorter than its header", record.size()));
  }
  std::memcpy(&header, record.data(), sizeof(Header));
  if (header.version != kUserVersion && header.version != kUserVersionWithHidden) {
    return absl::DataLossError(
        fmt::format("user record has version {}; this server reads {} and {}", header.version,
                    kUserVersion, kUserVersionWithHidden));
  }
  if (std::any_of(std::begin(header.reserved), std::end(header.reserved),
                  [](uint8_t byte) { return byte != 0; })) {
    return absl::DataLossError("user record has a reserved byte that is not 0");
  }
  std::string_view rest = record.substr(sizeof(Header));
  const size_t edge_bytes = size_t{header.edge_count} * sizeof(Edge);
  uint64_t hidden = 0;
  const size_t counts = header.version == kUserVersionWithHidden ? sizeof hidden : 0;
  if (rest.size() >= edge_bytes + counts) {
    std::memcpy(&hidden, rest.data() + edge_bytes, counts);
  }
  if (hidden > rest.size() || (counts > 0) != (hidden > 0) ||
      rest.size() != edge_bytes + HiddenBytes(hidden)) {
    return absl::DataLossError(fmt::format(
        "user record of {} bytes does not hold the {} edges and {} hidden items that it "
        "announces",
        record.size(), header.edge_count, hidden));
  }
  UserState user{.index = UserIndex{header.index},
                 .cluster = header.cluster,
                 .changed_at = header.changed_at,
                 .edges = {}};
  TakeFrom(rest, header.edge_count, user.edges);
  if (hidden > 0) {
    rest.remove_prefix(sizeof hidden);
    TakeFrom(rest, hidden, user.hidden);
  }
  if (absl::Status s = CheckOrder(user); !s.ok()) return s;
  return user;
}

}  // namespace groundswell
