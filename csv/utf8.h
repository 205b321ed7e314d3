// Text that came from outside.
#ifndef GROUNDSWELL_CSV_UTF8_H_
#define GROUNDSWELL_CSV_UTF8_H_

#include <string>
#include <string_view>

namespace groundswell {

// As protobuf and JSON have it: no surrogates, nothing overlong, nothing above U+10FFFF.
bool IsUtf8(std::string_view text);

// In double quotes, for a message: the first characters, without control characters; or that it is
// no text.
std::string ShownText(std::string_view text);

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_UTF8_H_
