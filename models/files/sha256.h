// SHA-256, as snapshots and lists of clients name things by it.
#ifndef GROUNDSWELL_MODELS_FILES_SHA256_H_
#define GROUNDSWELL_MODELS_FILES_SHA256_H_

#include <cstddef>
#include <span>
#include <string>

namespace groundswell {

// 64 lower-case hexadecimal digits.
std::string Sha256(std::span<const std::byte> bytes);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_FILES_SHA256_H_
