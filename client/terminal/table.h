// Tables for people: columns as wide as their content, cut at a limit.
#ifndef GROUNDSWELL_CLIENT_TERMINAL_TABLE_H_
#define GROUNDSWELL_CLIENT_TERMINAL_TABLE_H_

#include <cstddef>
#include <string>
#include <vector>

namespace groundswell {

class Table {
 public:
  struct Column {
    std::string title;
    bool right = false;     // numbers
    size_t width_max = 40;  // characters; longer cells end in "…"
  };

  explicit Table(std::vector<Column> columns);
  // REQUIRES: one cell per column. Shown as TerminalText has them.
  void AddRow(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // Lines that end in a newline; nothing but the titles when there are no rows.
  std::string ToString() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Characters (code points) of UTF-8 text.
size_t Characters(const std::string& text);
// The first `count` characters; never a part of one.
std::string FirstCharacters(const std::string& text, size_t count);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_TERMINAL_TABLE_H_
