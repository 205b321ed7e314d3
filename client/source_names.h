// What people call the candidate sources: "popular", "random-walk".
#ifndef GROUNDSWELL_CLIENT_SOURCE_NAMES_H_
#define GROUNDSWELL_CLIENT_SOURCE_NAMES_H_

#include <optional>
#include <string>
#include <string_view>

#include "groundswell/v1/recommend.pb.h"

namespace groundswell {

// The name of the enumerator without its prefix, in lower case, words joined by "-"; "source N" for
// one that this program does not know yet.
std::string SourceName(int source);

// The source of that name; nullopt when there is none.
std::optional<v1::CandidateSource> SourceOfName(std::string_view name);

// All names, separated by ", ".
std::string SourceNames();

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_SOURCE_NAMES_H_
