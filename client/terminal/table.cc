#include "client/terminal/table.h"

#include <algorithm>
#include <utility>

#include "program/terminal_text.h"

namespace groundswell {
namespace {

bool ContinuesCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

std::string Fit(const std::string& cell, size_t width, bool right) {
  std::string text = Characters(cell) > width ? FirstCharacters(cell, width - 1) + "…" : cell;
  const std::string padding(width - Characters(text), ' ');
  return right ? padding + text : text + padding;
}

}  // namespace

size_t Characters(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return !ContinuesCharacter(byte); }));
}

std::string FirstCharacters(const std::string& text, size_t count) {
  size_t at = 0;
  while (at < text.size()) {
    if (!ContinuesCharacter(text[at]) && count-- == 0) break;
    ++at;
  }
  return text.substr(0, at);
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (Column& column : columns_) column.title = TerminalText(column.title);
}

void Table::AddRow(std::vector<std::string> cells) {
  std::vector<std::string>& row = rows_.emplace_back(std::move(cells));
  for (std::string& cell : row) cell = TerminalText(cell);
}

std::string Table::ToString() const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = Characters(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, Characters(row[i]));
    widths.push_back(std::min(width, columns_[i].width_max));
  }
  std::string text;
  const auto add_line = [&](const auto& cell) {
    std::string line;
    for (size_t i = 0; i < columns_.size(); ++i) {
      line += (i > 0 ? "  " : "") + Fit(cell(i), widths[i], columns_[i].right);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add_line([&](size_t i) { return columns_[i].title; });
  add_line([&](size_t i) { return std::string(widths[i], '-'); });
  for (const auto& row : rows_) add_line([&](size_t i) { return row[i]; });
  return text;
}

}  // namespace groundswell
