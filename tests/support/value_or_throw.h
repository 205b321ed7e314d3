// What a fixture needs, or an exception that ends the test.
#ifndef GROUNDSWELL_TESTS_SUPPORT_VALUE_OR_THROW_H_
#define GROUNDSWELL_TESTS_SUPPORT_VALUE_OR_THROW_H_

#include <stdexcept>
#include <utility>

#include "absl/status/statusor.h"

namespace groundswell {

template <typename T>
T ValueOrThrow(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_VALUE_OR_THROW_H_
