// users.jsonl, items.jsonl and graph.safetensors; the first byte chooses. What is taken is within
// its limits, and written again it reads to the same.
#include <algorithm>
#include <set>

#include "tests/fuzz/target.h"
#include "tests/support/tiny_snapshot.h"

namespace groundswell {
namespace {

constexpr size_t kIdBytesMax = 256;
constexpr size_t kTitleBytesMax = 4'096;
constexpr uint64_t kUsers = 3;  // of the tiny snapshot, as are the next two
constexpr uint64_t kItems = 4;
constexpr uint64_t kGraphOffset = 4;

bool IsText(std::string_view text, size_t min, size_t max) {
  return text.size() >= min && text.size() <= max &&
         std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

void CheckUsers(std::string_view text) {
  const auto users = ParseUsers(text);
  if (!users.ok()) return;
  Require(users->size() <= static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1,
          "a line is one user");
  std::set<std::string> ids;
  std::string again;
  for (const std::string& id : *users) {
    Require(IsText(id, 1, kIdBytesMax) && ids.insert(id).second, "a user's id is text and unique");
    again += nlohmann::json{{"id", id}}.dump() + "\n";
  }
  const auto reread = ParseUsers(again);
  Require(reread.ok() && *reread == *users, "users written again are the same");
}

void CheckItems(std::string_view text) {
  const auto items = ParseItems(text);
  if (!items.ok()) return;
  std::set<std::string> ids;
  std::string again;
  for (const CatalogueItem& item : *items) {
    Require(IsText(item.id, 1, kIdBytesMax) && ids.insert(item.id).second,
            "an item's id is text and unique");
    Require(IsText(item.title, 0, kTitleBytesMax) && IsText(item.category, 0, kIdBytesMax),
            "titles and categories are text");
    again +=
        nlohmann::json{{"id", item.id}, {"title", item.title}, {"category", item.category}}.dump() +
        "\n";
  }
  const auto reread = ParseItems(again);
  Require(reread.ok() && std::equal(reread->begin(), reread->end(), items->begin(), items->end(),
                                    [](const CatalogueItem& a, const CatalogueItem& b) {
                                      return a.id == b.id && a.title == b.title &&
                                             a.category == b.category;
                                    }),
          "items written again are the same");
}

void CheckGraph(std::string_view text) {
  const auto file = SafetensorsFile::Parse("graph.safetensors", BytesOf(text));
  if (!file.ok()) return;
  Manifest manifest;
  manifest.users = kUsers;
  manifest.items = kItems;
  manifest.graph_offset = kGraphOffset;
  const auto graph = ParseGraph(manifest, *file);
  if (!graph.ok()) return;
  Require(graph->user_begin.size() == kUsers + 1 && graph->user_begin.front() == 0 &&
              graph->user_begin.back() == graph->edges.size() &&
              std::is_sorted(graph->user_begin.begin(), graph->user_begin.end()),
          "the users' edges are one after the other");
  int64_t total = 0;
  for (size_t user = 0; user < kUsers; ++user) {
    for (size_t e = graph->user_begin[user]; e < graph->user_begin[user + 1]; ++e) {
      const SnapshotGraph::Edge& edge = graph->edges[e];
      Require(edge.item < kItems && edge.count >= 1 && edge.last_time_us >= 0 &&
                  edge.last_offset >= 1 && static_cast<uint64_t>(edge.last_offset) <= kGraphOffset,
              "an edge is within its limits");
      Require(e == graph->user_begin[user] || graph->edges[e - 1].item < edge.item,
              "a user's items ascend");
      total += edge.count;
    }
  }
  int64_t square;
  Require(!__builtin_mul_overflow(total, total, &square), "no macro edge can overflow");
}

}  // namespace

std::vector<std::string> SeedCorpus() {
  const TinySnapshot tiny;
  return {"u" + tiny.users, "i" + tiny.items, "g" + std::string(BytesOf(tiny.graph)->text()),
          "u{\"id\":\"caf\xc3\xa9 \\u0041\"}\r\n{\"id\":\"b\",\"more\":[1]}",
          "i{\"id\":\"a\",\"title\":\"\\\"q\\\"\",\"category\":\"\"}"};
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  if (size == 0) return 0;
  const std::string_view rest = TextOf(data + 1, size - 1);
  switch (data[0]) {
    case 'u':
      CheckUsers(rest);
      break;
    case 'i':
      CheckItems(rest);
      break;
    default:
      CheckGraph(rest);
  }
  return 0;
}
