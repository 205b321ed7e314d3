// GROUNDSWELL_SANITIZED: defined where the address or the thread sanitizer, which have an allocator
// of their own, is compiled in; kSanitized says it where both ways compile. g++ and clang say it
// differently.
#ifndef GROUNDSWELL_TESTS_SUPPORT_SANITIZED_H_
#define GROUNDSWELL_TESTS_SUPPORT_SANITIZED_H_

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GROUNDSWELL_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GROUNDSWELL_SANITIZED
#endif
#endif

namespace groundswell {

// For bounds on memory, of which a sanitizer keeps what is freed for a while.
#ifdef GROUNDSWELL_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// How often a property is tried, a fault met, an input mutated: `count` times; under a sanitizer,
// which takes ten times as long for each and looks for what the first of them do, a fifth, at least
// once.
template <typename T>
constexpr T Rounds(T count) {
  return kSanitized ? (count + 4) / 5 : count;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_SANITIZED_H_
