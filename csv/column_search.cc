#include "csv/column_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "csv/utf8.h"

namespace groundswell {
namespace {

constexpr size_t kNamesShown = 30;

}  // namespace

std::string PlainName(std::string_view column) {
  std::string plain;
  for (const char c : column.substr(0, column.find(':'))) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) plain.push_back(static_cast<char>(std::tolower(byte)));
  }
  return plain;
}

size_t PlaceAmong(std::span<const std::string_view> names, std::string_view column) {
  const std::string plain = PlainName(column);
  const auto at = std::ranges::find(names, plain);
  if (plain.empty() || at == names.end()) return kNoColumn;
  return static_cast<size_t>(at - names.begin());
}

size_t FindColumn(std::span<const std::string_view> header, std::span<const std::string> named,
                  size_t field, const ColumnFields& fields) {
  if (!named[field].empty()) {
    const auto at = std::ranges::find(header, named[field]);
    return at == header.end() ? kNoColumn : static_cast<size_t>(at - header.begin());
  }
  size_t best = kNoColumn;
  size_t position = kNoColumn;
  for (size_t column = 0; column < header.size(); ++column) {
    if (std::ranges::find(named, header[column]) != named.end()) continue;
    const size_t rank = fields.rank(header[column], field);
    if (rank >= best) continue;
    best = rank;
    position = column;
  }
  return position;
}

absl::Status CheckFound(std::span<const std::string_view> header,
                        std::span<const std::string> named, size_t position, size_t field,
                        bool is_required, const ColumnFields& fields) {
  if (position != kNoColumn) return absl::OkStatus();
  if (!named[field].empty()) {
    return absl::InvalidArgumentError(
        fmt::format("there is no column {} for the {}; the columns are {}", ShownText(named[field]),
                    fields.names[field], ListOf(header)));
  }
  if (!is_required) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "no column is known to hold the {}; the columns are {}: say which it is with {} COLUMN",
      fields.names[field], ListOf(header), fields.flags[field]));
}

absl::Status CheckOnce(std::span<const std::string_view> header, size_t position, size_t field,
                       const ColumnFields& fields) {
  if (position == kNoColumn || std::ranges::count(header, header[position]) == 1) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("several columns are called {}, which is to hold the {}; the columns are {}: "
                  "give each a name of its own",
                  ShownText(header[position]), fields.names[field], ListOf(header)));
}

absl::Status CheckApart(std::span<const std::string_view> header, std::span<const size_t> positions,
                        size_t field, const ColumnFields& fields) {
  const size_t position = positions[field];
  const auto before = std::ranges::find(positions, position);
  const auto other = static_cast<size_t>(before - positions.begin());
  if (position == kNoColumn || other == field) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "column {} is named for both the {} and the {} ({}); name another one",
      ShownText(header[position]), fields.names[other], fields.names[field], fields.flags[field]));
}

absl::Status CheckNamedApart(std::span<const std::string> named, size_t count,
                             const ColumnFields& fields) {
  for (size_t field = 0; field < count; ++field) {
    const auto before = std::ranges::find(named, named[field]);
    const auto other = static_cast<size_t>(before - named.begin());
    if (named[field].empty() || other == field) continue;
    return absl::InvalidArgumentError(fmt::format(
        "key {} is named for both the {} and the {} ({}); name another one",
        ShownText(named[field]), fields.names[other], fields.names[field], fields.flags[field]));
  }
  return absl::OkStatus();
}

std::string ListOf(std::span<const std::string_view> names) {
  std::string list;
  for (const std::string_view name : names.first(std::min(names.size(), kNamesShown))) {
    list += (list.empty() ? "" : ", ") + ShownText(name);
  }
  return list + (names.size() > kNamesShown ? ", ..." : "");
}

}  // namespace groundswell
