#include "program/terminal_text.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>

#include "csv/utf8.h"

namespace groundswell {
namespace {

constexpr std::string_view kLineCharacters = "\n\t";

bool IsObeyed(std::string_view character) {
  const auto first = static_cast<uint8_t>(character[0]);
  const bool is_c1 = first == 0xc2 && static_cast<uint8_t>(character[1]) < 0xa0;
  return first < 0x20 || first == 0x7f || is_c1;
}

std::string Escaped(std::string_view bytes) {
  if (bytes == "\n") return "\\n";
  if (bytes == "\t") return "\\t";
  if (bytes == "\r") return "\\r";
  std::string escaped;
  for (const char byte : bytes) escaped += fmt::format("\\x{:02x}", static_cast<uint8_t>(byte));
  return escaped;
}

std::string Escape(std::string_view text, std::string_view kept) {
  std::string shown;
  while (!text.empty()) {
    const size_t size = FirstCharacter(text);
    const std::string_view character = text.substr(0, size == 0 ? 1 : size);
    const bool stays = size > 0 && (!IsObeyed(character) || kept.find(character) != kept.npos);
    shown += stays ? std::string(character) : Escaped(character);
    text.remove_prefix(character.size());
  }
  return shown;
}

}  // namespace

std::string TerminalText(std::string_view text) { return Escape(text, ""); }
std::string TerminalLines(std::string_view text) { return Escape(text, kLineCharacters); }

}  // namespace groundswell
