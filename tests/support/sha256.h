// SHA-256, for the manifests that tests write.
#ifndef GROUNDSWELL_TESTS_SUPPORT_SHA256_H_
#define GROUNDSWELL_TESTS_SUPPORT_SHA256_H_

#include <string>

namespace groundswell {

// In hexadecimal digits, lower case.
std::string Sha256(const std::string& bytes);

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_SHA256_H_
