#include "tests/integration/faulty_disk.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <stdexcept>
#include <utility>

#include "tests/integration/faulty_disk_control.h"

namespace groundswell {
namespace {

constexpr std::array<const char*, static_cast<size_t>(FaultyCall::kCount)> kCallNames = {
    "write", "sync", "open", "rename", "directory sync"};
static_assert(kCallNames.size() == kFaultyCalls);

template <typename Number>
void Set(Number& shared, Number value) {
  std::atomic_ref<Number>(shared).store(value);
}

template <typename Number>
Number ReadShared(Number& shared) {
  return std::atomic_ref<Number>(shared).load();
}

int32_t NumberOf(FaultyCall call) { return static_cast<int32_t>(call) + 1; }

}  // namespace

const char* NameOf(FaultyCall call) { return kCallNames[static_cast<size_t>(call)]; }

FaultyDisk::FaultyDisk(std::string path, std::string control_file)
    : path_(std::move(path)), control_file_(std::move(control_file)) {
  const int file = ::open(control_file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ::ftruncate(file, sizeof(FaultyDiskControl)) != 0) {
    throw std::runtime_error("cannot make " + control_file_);
  }
  void* const mapped =
      ::mmap(nullptr, sizeof(FaultyDiskControl), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (mapped == MAP_FAILED) throw std::runtime_error("cannot map " + control_file_);
  control_ = static_cast<FaultyDiskControl*>(mapped);
}

FaultyDisk::~FaultyDisk() { ::munmap(control_, sizeof(FaultyDiskControl)); }

Environment FaultyDisk::environment() const {
  return {{"LD_PRELOAD", GROUNDSWELL_FAULTY_DISK_LIBRARY},
          {"FAULTY_DISK_DIRECTORY", path_},
          {"FAULTY_DISK_CONTROL", control_file_}};
}

void FaultyDisk::Fail(FaultyCall call, int error, int64_t passing, int64_t count) {
  Heal();
  Set(control_->failed, int64_t{0});
  Set(control_->error, int32_t{error});
  Set(control_->passing, passing);
  Set(control_->left, count);
  Set(control_->failing, NumberOf(call));
}

void FaultyDisk::Hang(FaultyCall call) {
  Heal();
  Set(control_->hung, int32_t{0});
  Set(control_->hanging, NumberOf(call));
}

void FaultyDisk::Heal() {
  Set(control_->failing, int32_t{0});
  Set(control_->hanging, int32_t{0});
}

int64_t FaultyDisk::calls(FaultyCall call) const {
  return ReadShared(control_->calls[static_cast<size_t>(call)]);
}

int64_t FaultyDisk::failed() const { return ReadShared(control_->failed); }
bool FaultyDisk::hung() const { return ReadShared(control_->hung) != 0; }

}  // namespace groundswell
