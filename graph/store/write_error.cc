#include "graph/store/write_error.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/cord.h"

namespace groundswell {
namespace {

constexpr char kPassingUrl[] = "groundswell/passing_disk_error";

}  // namespace

WriteErrorKind KindOfWriteError(int error_number) {
  switch (error_number) {
    case EIO:
      return WriteErrorKind::kIo;
    case ENOSPC:
      return WriteErrorKind::kNoSpace;
    case EDQUOT:
      return WriteErrorKind::kQuota;
    case EMFILE:
    case ENFILE:
      return WriteErrorKind::kDescriptors;
    case ESTALE:
      return WriteErrorKind::kStale;
    default:
      return WriteErrorKind::kOther;
  }
}

WriteErrorKind KindOfWriteError(std::string_view text) {
  for (const int number : std::array{EIO, ENOSPC, EDQUOT, EMFILE, ENFILE, ESTALE}) {
    if (text.find(std::strerror(number)) != text.npos) return KindOfWriteError(number);
  }
  return WriteErrorKind::kOther;
}

absl::Status MarkPassing(absl::Status status) {
  status.SetPayload(kPassingUrl, absl::Cord());
  return status;
}

bool IsPassing(const absl::Status& status) { return status.GetPayload(kPassingUrl).has_value(); }

}  // namespace groundswell
