// Text that came from outside.
#ifndef GROUNDSWELL_CSV_UTF8_H_
#define GROUNDSWELL_CSV_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace groundswell {

// The bytes of the first character of `text`, which is not empty; 0 when it begins with none. UTF-8
// as protobuf and JSON have it: no surrogates, nothing overlong, nothing above U+10FFFF.
size_t FirstCharacter(std::string_view text);

// Whether all of it is such characters.
bool IsUtf8(std::string_view text);

// In double quotes, for a message: the first characters, without control characters; or that it is
// no text.
std::string ShownText(std::string_view text);

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_UTF8_H_
