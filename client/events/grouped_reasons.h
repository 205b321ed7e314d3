// GroupedReasons: many refusals for few reasons, told as these.
#ifndef GROUNDSWELL_CLIENT_EVENTS_GROUPED_REASONS_H_
#define GROUNDSWELL_CLIENT_EVENTS_GROUPED_REASONS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace groundswell {

// Messages that differ in numbers and in what is in quotation marks have one reason. Beyond
// kKindsMax reasons, further ones are counted together.
class GroupedReasons {
 public:
  static constexpr size_t kKindsMax = 20;

  // `count` times.
  void Add(std::string_view message, uint64_t count = 1);

  // The first message of each reason, the most frequent first, and how often: "... (12 times)".
  std::vector<std::string> ToStrings() const;

 private:
  struct Kind {
    std::string pattern;
    std::string first;
    uint64_t count = 0;
  };
  std::vector<Kind> kinds_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_GROUPED_REASONS_H_
