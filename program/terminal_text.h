// Texts of others on a terminal.
#ifndef GROUNDSWELL_PROGRAM_TERMINAL_TEXT_H_
#define GROUNDSWELL_PROGRAM_TERMINAL_TEXT_H_

#include <string>
#include <string_view>

namespace groundswell {

// `text` as one line without anything that a terminal would obey: control characters, those of
// Unicode (U+0080 to U+009F) too, and bytes that are no UTF-8, become \n, \t and the like, or \x1b.
std::string TerminalText(std::string_view text);
// Likewise, but for line ends and tabs, which stay: of messages, which may have several lines.
std::string TerminalLines(std::string_view text);

}  // namespace groundswell

#endif  // GROUNDSWELL_PROGRAM_TERMINAL_TEXT_H_
