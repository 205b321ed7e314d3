// What protobuf's parser of JSON takes without a word: one field given twice.
#ifndef GROUNDSWELL_CSV_REPEATED_FIELDS_H_
#define GROUNDSWELL_CSV_REPEATED_FIELDS_H_

#include <optional>
#include <string>
#include <string_view>

namespace groundswell {

// A field that one object of the JSON form of a message, at any depth, has twice: by one key, or as
// `user_id` beside `userId`. nullopt: none, or the text is no JSON by the standard (protobuf takes
// a little more). In words, such as: the key "user_id" beside "userId". REQUIRES: the message has
// no map.
std::optional<std::string> FindRepeatedField(std::string_view json);

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_REPEATED_FIELDS_H_
