#include "csv/utf8.h"

#include <cstdint>

namespace groundswell {
namespace {

constexpr size_t kShownCharacters = 64;

}  // namespace

size_t FirstCharacter(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = at(0);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  const uint8_t second = at(1);
  const bool is_overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool is_surrogate = first == 0xed && second > 0x9f;
  const bool is_beyond = first == 0xf4 && second > 0x8f;
  return is_overlong || is_surrogate || is_beyond ? 0 : size;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = FirstCharacter(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string ShownText(std::string_view text) {
  if (!IsUtf8(text)) return "\"(bytes that are not UTF-8)\"";
  std::string shown = "\"";
  for (size_t characters = 0; !text.empty(); ++characters) {
    if (characters == kShownCharacters) {
      shown += "…";
      break;
    }
    const size_t size = FirstCharacter(text);
    const bool is_control = static_cast<uint8_t>(text[0]) < 0x20 || text[0] == 0x7f;
    shown += is_control ? std::string_view("?") : text.substr(0, size);
    text.remove_prefix(size);
  }
  return shown + "\"";
}

}  // namespace groundswell
