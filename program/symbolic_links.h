// Where a path leads, for files that are replaced as a whole: a link must not be replaced by them.
#ifndef GROUNDSWELL_PROGRAM_SYMBOLIC_LINKS_H_
#define GROUNDSWELL_PROGRAM_SYMBOLIC_LINKS_H_

#include <string>

namespace groundswell {

// What the links at `path` lead to, whether or not it is there yet; a path that is no link as it
// is.
std::string FollowLinks(const std::string& path);

}  // namespace groundswell

#endif  // GROUNDSWELL_PROGRAM_SYMBOLIC_LINKS_H_
