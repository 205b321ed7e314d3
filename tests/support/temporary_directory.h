// A directory of its own for one test, removed at the end.
#ifndef GROUNDSWELL_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_
#define GROUNDSWELL_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_

#include <string>

namespace groundswell {

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_
