// users.jsonl, items.jsonl and graph.safetensors: the parts of a snapshot that an import turns into
// records.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "models/files/manifest.h"
#include "models/files/strict_json.h"

namespace groundswell {
namespace {

using nlohmann::json;

constexpr size_t kIdBytesMax = 256;
constexpr size_t kTextBytesMax = 4'096;
constexpr size_t kLineBytesMax = 65'536;
// The square of this sum, which bounds every macro edge, fits 63 bits.
constexpr int64_t kTotalCountMax = 3'037'000'499;
// The end of the year 9999: later ones are no times of the API.
constexpr int64_t kLastTimeUsMax = 253'402'300'799'999'999;

absl::Status BadLine(std::string_view file, size_t line, std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("{}:{}: {}", file, line, what));
}

// One string of a line; JSON itself guarantees that it is UTF-8.
absl::StatusOr<std::string> TextOf(std::string_view file, size_t line, const json& object,
                                   const char* key, size_t min, size_t max) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_string()) {
    return BadLine(file, line, fmt::format("the object needs a string \"{}\"", key));
  }
  std::string text = at->get<std::string>();
  if (text.size() < min || text.size() > max || HasControlCharacter(text)) {
    return BadLine(
        file, line,
        fmt::format("\"{}\" must be {} to {} bytes without control characters; it has {}", key, min,
                    max, text.size()));
  }
  return text;
}

// Calls `read` with every line's object and its number, from 1.
template <typename Read>
absl::Status ForEachLine(std::string_view file, std::string_view text, Read read) {
  size_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = std::min(text.find('\n'), text.size());
    if (end > kLineBytesMax) {
      return BadLine(file, number, fmt::format("a line holds at most {} bytes", kLineBytesMax));
    }
    const absl::StatusOr<json> object = ParseStrictJson(text.substr(0, end));
    if (!object.ok()) return BadLine(file, number, std::string(object.status().message()));
    if (!object->is_object()) return BadLine(file, number, "every line must be one JSON object");
    if (absl::Status s = read(*object, number); !s.ok()) return s;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return absl::OkStatus();
}

// `begin` must rise from 0 to the number of edges.
absl::Status CheckUserBegin(std::span<const int64_t> begin, size_t edges) {
  for (size_t user = 0; user < begin.size(); ++user) {
    const int64_t least = user == 0 ? 0 : begin[user - 1];
    const bool is_last = user + 1 == begin.size();
    const bool fits = begin[user] >= least && static_cast<uint64_t>(begin[user]) <= edges;
    const bool ends =
        (user > 0 || begin[0] == 0) && (!is_last || static_cast<uint64_t>(begin[user]) == edges);
    if (!fits || !ends) {
      return absl::InvalidArgumentError(
          fmt::format("graph.safetensors: user_begin must rise from 0 to the number of edges, {}; "
                      "element {} is {}",
                      edges, user, begin[user]));
    }
  }
  return absl::OkStatus();
}

absl::Status BadEdge(size_t edge, std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("graph.safetensors: edge {}: {}", edge, what));
}

absl::Status CheckEdge(const Manifest& manifest, size_t number, const SnapshotGraph::Edge& edge,
                       int64_t item, const SnapshotGraph::Edge* previous) {
  if (item < 0 || static_cast<uint64_t>(item) >= manifest.items) {
    return BadEdge(number, fmt::format("item {} is not below {}", item, manifest.items));
  }
  if (previous != nullptr && previous->item > edge.item) {
    return BadEdge(number, "the items of a user must ascend");
  }
  if (previous != nullptr && previous->item == edge.item &&
      std::tie(previous->last_time_us, previous->last_offset) >=
          std::tie(edge.last_time_us, edge.last_offset)) {
    return BadEdge(number, fmt::format("is to the same item, {}, as the one before; last_time_us, "
                                       "then last_offset, must ascend",
                                       edge.item));
  }
  if (edge.count < 1 || edge.count > kTotalCountMax) {
    return BadEdge(number, fmt::format("count {} must be 1 to {}", edge.count, kTotalCountMax));
  }
  if (edge.last_time_us < 0 || edge.last_time_us > kLastTimeUsMax) {
    return BadEdge(number, fmt::format("last_time_us {} must be microseconds from 1970 to the end "
                                       "of the year 9999, 0 to {}; is it in nanoseconds?",
                                       edge.last_time_us, kLastTimeUsMax));
  }
  if (edge.last_offset < 1 || static_cast<uint64_t>(edge.last_offset) > manifest.graph_offset) {
    return BadEdge(number, fmt::format("last_offset {} must be 1 to graph_offset, {}",
                                       edge.last_offset, manifest.graph_offset));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<CatalogueItem>> ParseItems(std::string_view jsonl) {
  constexpr std::string_view kFile = "items.jsonl";
  std::vector<CatalogueItem> items;
  absl::flat_hash_set<std::string> ids;
  const absl::Status status =
      ForEachLine(kFile, jsonl, [&](const json& object, size_t line) -> absl::Status {
        absl::StatusOr<std::string> id = TextOf(kFile, line, object, "id", 1, kIdBytesMax);
        if (!id.ok()) return id.status();
        absl::StatusOr<std::string> title = TextOf(kFile, line, object, "title", 0, kTextBytesMax);
        if (!title.ok()) return title.status();
        absl::StatusOr<std::string> category =
            TextOf(kFile, line, object, "category", 0, kIdBytesMax);
        if (!category.ok()) return category.status();
        if (!ids.insert(*id).second) {
          return BadLine(kFile, line, fmt::format("id \"{}\" stands on an earlier line too", *id));
        }
        items.push_back({*std::move(id), *std::move(title), *std::move(category)});
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return items;
}

absl::StatusOr<std::vector<std::string>> ParseUsers(std::string_view jsonl) {
  constexpr std::string_view kFile = "users.jsonl";
  std::vector<std::string> users;
  absl::flat_hash_set<std::string> ids;
  const absl::Status status =
      ForEachLine(kFile, jsonl, [&](const json& object, size_t line) -> absl::Status {
        absl::StatusOr<std::string> id = TextOf(kFile, line, object, "id", 1, kIdBytesMax);
        if (!id.ok()) return id.status();
        if (!ids.insert(*id).second) {
          return BadLine(kFile, line, fmt::format("id \"{}\" stands on an earlier line too", *id));
        }
        users.push_back(*std::move(id));
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return users;
}

absl::StatusOr<SnapshotGraph> ParseGraph(const Manifest& manifest, const SafetensorsFile& file) {
  const std::array<size_t, 1> begin_shape{manifest.users + 1};
  const auto begin = file.Integers("user_begin", begin_shape);
  if (!begin.ok()) return begin.status();
  const auto item_tensor = file.tensors().find("item");
  const size_t edges =
      item_tensor == file.tensors().end() ? 0 : item_tensor->second.element_count();
  const std::array<size_t, 1> shape{edges};
  const auto item = file.Integers("item", shape);
  if (!item.ok()) return item.status();
  const auto count = file.Integers("count", shape);
  if (!count.ok()) return count.status();
  const auto time = file.Integers("last_time_us", shape);
  if (!time.ok()) return time.status();
  const auto offset = file.Integers("last_offset", shape);
  if (!offset.ok()) return offset.status();

  SnapshotGraph graph;
  graph.edges.reserve(edges);
  if (absl::Status status = CheckUserBegin(*begin, edges); !status.ok()) return status;
  graph.user_begin.assign(begin->begin(), begin->end());
  int64_t total = 0;
  for (size_t user = 0; user < manifest.users; ++user) {
    for (size_t e = graph.user_begin[user]; e < graph.user_begin[user + 1]; ++e) {
      const SnapshotGraph::Edge edge{.item = static_cast<uint32_t>((*item)[e]),
                                     .count = (*count)[e],
                                     .last_time_us = (*time)[e],
                                     .last_offset = (*offset)[e]};
      const bool is_first = e == graph.user_begin[user];
      if (absl::Status s =
              CheckEdge(manifest, e, edge, (*item)[e], is_first ? nullptr : &graph.edges.back());
          !s.ok()) {
        return s;
      }
      total += edge.count;
      if (total > kTotalCountMax) {
        return BadEdge(e, fmt::format("the counts add up to more than {}", kTotalCountMax));
      }
      graph.edges.push_back(edge);
    }
  }
  return graph;
}

}  // namespace groundswell
