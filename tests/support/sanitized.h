// GROUNDSWELL_SANITIZED: defined where the address or the thread sanitizer, which have an allocator
// of their own, is compiled in. g++ and clang say it differently.
#ifndef GROUNDSWELL_TESTS_SUPPORT_SANITIZED_H_
#define GROUNDSWELL_TESTS_SUPPORT_SANITIZED_H_

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GROUNDSWELL_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GROUNDSWELL_SANITIZED
#endif
#endif

#endif  // GROUNDSWELL_TESTS_SUPPORT_SANITIZED_H_
