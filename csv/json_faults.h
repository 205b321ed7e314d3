// What protobuf's parser of JSON takes without a word: one field given twice, null among values of
// a list, and text that is no JSON.
#ifndef GROUNDSWELL_CSV_JSON_FAULTS_H_
#define GROUNDSWELL_CSV_JSON_FAULTS_H_

#include <optional>
#include <string>
#include <string_view>

namespace groundswell {

// What is wrong with the JSON form of a message, in words, such as: has the key "user_id" beside
// "userId". A field that an object has twice, at any depth, by one key or as `user_id` beside
// `userId`; null, or a list, within a list, which protobuf leaves out, so that what is behind it
// moves up; and what is no JSON by the standard. nullopt: nothing, or it is so deep that protobuf
// refuses it. REQUIRES: the message has no map, and none of google.protobuf.Value.
std::optional<std::string> FindJsonFault(std::string_view json);

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_JSON_FAULTS_H_
