#include "client/events/grouped_reasons.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace groundswell {
namespace {

// What messages of one reason have in common.
std::string PatternOf(std::string_view message) {
  std::string pattern;
  bool quoted = false;
  for (const char c : message) {
    if (c == '"') quoted = !quoted;
    if (quoted || std::isdigit(static_cast<unsigned char>(c)) != 0) continue;
    pattern.push_back(c);
  }
  return pattern;
}

}  // namespace

void GroupedReasons::Add(std::string_view message, uint64_t count) {
  std::string pattern = PatternOf(message);
  auto at = std::ranges::find(kinds_, pattern, &Kind::pattern);
  if (at == kinds_.end() && kinds_.size() >= kKindsMax) {
    pattern = "others";
    message = "other reasons";
    at = std::ranges::find(kinds_, pattern, &Kind::pattern);
  }
  if (at == kinds_.end()) {
    at = kinds_.insert(at, {.pattern = std::move(pattern), .first = std::string(message)});
  }
  at->count += count;
}

std::vector<std::string> GroupedReasons::ToStrings() const {
  std::vector<Kind> sorted = kinds_;
  std::ranges::stable_sort(sorted, std::greater<>(), &Kind::count);
  std::vector<std::string> texts;
  for (const Kind& kind : sorted) {
    texts.push_back(kind.count == 1 ? kind.first
                                    : fmt::format("{} ({} times)", kind.first, kind.count));
  }
  return texts;
}

}  // namespace groundswell
