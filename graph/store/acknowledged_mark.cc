#include "graph/store/acknowledged_mark.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "graph/store/write_error.h"

namespace groundswell {
namespace {

constexpr char kFileName[] = "ACKNOWLEDGED";
constexpr uint32_t kMarkVersion = 1;

struct Slot {
  uint32_t version = kMarkVersion;
  uint32_t durability = 0;
  uint64_t sequence = 0;  // the higher of the two slots' counts
  int64_t offset = 0;
  uint32_t reserved = 0;
  uint32_t crc = 0;  // CRC-32 of what precedes it
};
static_assert(sizeof(Slot) == 32);

std::string PathOf(const std::string& directory) { return directory + "/" + kFileName; }

uint32_t ChecksumOf(const Slot& slot) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const unsigned char*>(&slot), offsetof(Slot, crc)));
}

bool IsWhole(const Slot& slot) {
  return slot.version == kMarkVersion && slot.crc == ChecksumOf(slot) &&
         (slot.durability == static_cast<uint32_t>(Durability::kSync) ||
          slot.durability == static_cast<uint32_t>(Durability::kFlush));
}

absl::Status SystemError(std::string_view doing, const std::string& path) {
  const int number = errno;
  absl::Status failed =
      absl::UnavailableError(fmt::format("cannot {} \"{}\": {}", doing, path, strerror(number)));
  return KindOfWriteError(number) == WriteErrorKind::kOther ? failed : MarkPassing(failed);
}

// The newer whole slot of an open file.
absl::StatusOr<std::optional<Slot>> ReadSlots(int file, const std::string& path) {
  std::array<Slot, 2> slots{};
  const ssize_t size = ::pread(file, slots.data(), sizeof(slots), 0);
  if (size < 0) return SystemError("read", path);
  if (size == 0) return std::nullopt;  // made, and never written
  std::optional<Slot> newest;
  for (size_t i = 0; i < slots.size(); ++i) {
    const bool is_there = size >= static_cast<ssize_t>((i + 1) * sizeof(Slot));
    if (!is_there || !IsWhole(slots[i])) continue;
    if (!newest.has_value() || slots[i].sequence > newest->sequence) newest = slots[i];
  }
  if (newest.has_value()) return newest;
  return absl::DataLossError(fmt::format(
      "\"{}\" is damaged, so nothing tells how far interactions were acknowledged; check the disk, "
      "then run `groundswell-server repair`",
      path));
}

}  // namespace

absl::StatusOr<std::optional<AcknowledgedMark::Value>> AcknowledgedMark::Read(
    const std::string& directory) {
  const std::string path = PathOf(directory);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return std::nullopt;
  if (file < 0) return SystemError("open", path);
  const auto slot = ReadSlots(file, path);
  ::close(file);
  if (!slot.ok()) return slot.status();
  if (!slot->has_value()) return std::nullopt;
  return std::optional<Value>(
      {.offset = (*slot)->offset, .durability = static_cast<Durability>((*slot)->durability)});
}

absl::StatusOr<std::unique_ptr<AcknowledgedMark>> AcknowledgedMark::Open(
    const std::string& directory) {
  const std::string path = PathOf(directory);
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return SystemError("open", path);
  std::unique_ptr<AcknowledgedMark> mark(new AcknowledgedMark(file));
  // A damaged one is Read's to refuse: who opens it writes a new one.
  const auto slot = ReadSlots(file, path);
  if (slot.ok() && slot->has_value()) mark->sequence_ = (*slot)->sequence;
  return mark;
}

AcknowledgedMark::~AcknowledgedMark() { ::close(file_); }

int AcknowledgedMark::Write(const Value& value) {
  Slot slot{.durability = static_cast<uint32_t>(value.durability),
            .sequence = ++sequence_,
            .offset = value.offset};
  slot.crc = ChecksumOf(slot);
  // The slot of the mark before the last: a torn write leaves the last one whole.
  const auto at = static_cast<off_t>(sequence_ % 2 * sizeof(Slot));
  const ssize_t written = ::pwrite(file_, &slot, sizeof(slot), at);
  if (written == static_cast<ssize_t>(sizeof(slot))) return 0;
  return written < 0 ? errno : EIO;
}

}  // namespace groundswell
