#include "server/admin/admin_checks.h"

#include <fmt/format.h>

#include <filesystem>
#include <random>
#include <string>

#include "google/protobuf/util/time_util.h"
#include "models/embedding_range.h"
#include "server/rpc/field_checks.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

using google::protobuf::util::TimeUtil;

constexpr size_t kTitleBytesMax = 4'096;
constexpr size_t kCategoryBytesMax = 256;

absl::StatusOr<Availability> CheckAvailability(const v1::UpsertItemRequest& request) {
  Availability availability;
  const auto read = [](const char* field, const google::protobuf::Timestamp& time, int64_t& out) {
    const bool is_time = time.seconds() >= 0 && time.seconds() <= TimeUtil::kTimestampMaxSeconds &&
                         time.nanos() >= 0 && time.nanos() <= 999'999'999;
    if (!is_time) {
      return InvalidField(field,
                          fmt::format("{} s and {} ns since 1970", time.seconds(), time.nanos()),
                          "must be between 1970 and the end of the year 9999");
    }
    out = TimeUtil::TimestampToMicroseconds(time);
    return absl::OkStatus();
  };
  if (request.has_available_from()) {
    absl::Status s = read("available_from", request.available_from(), availability.from_us);
    if (!s.ok()) return s;
  }
  if (request.has_available_until()) {
    absl::Status s = read("available_until", request.available_until(), availability.until_us);
    if (!s.ok()) return s;
  }
  if (availability.from_us >= availability.until_us) {
    return InvalidField("available_until", TimeUtil::ToString(request.available_until()),
                        "must be later than available_from");
  }
  return availability;
}

absl::Status CheckText(std::string_view field, std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return absl::OkStatus();
  return InvalidField(field, text,
                      fmt::format("must have at most {} bytes; it has {}", bytes_max, text.size()));
}

}  // namespace

std::string EventIdOf(const std::string& request_id) {
  if (!request_id.empty()) return request_id;
  std::random_device device;
  return fmt::format("admin-{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

absl::Status CheckDirectory(std::string_view directory) {
  if (std::filesystem::path(directory).is_absolute()) return absl::OkStatus();
  return InvalidField("directory", directory, "must be an absolute path on the server's machine");
}

absl::StatusOr<groundswell::UpsertItem> CheckUpsertItem(const v1::UpsertItemRequest& request,
                                                        const Snapshot& snapshot) {
  if (absl::Status s = CheckId("item_id", request.item_id()); !s.ok()) return s;
  if (absl::Status s = CheckText("title", request.title(), kTitleBytesMax); !s.ok()) return s;
  absl::Status category = CheckText("category", request.category(), kCategoryBytesMax);
  if (!category.ok()) return category;
  const uint32_t width = snapshot.manifest().embedding_dim;
  const auto size = static_cast<size_t>(request.embedding_size());
  if (size != 0 && snapshot.is_empty()) {
    return InvalidField("embedding", fmt::format("{} numbers", size),
                        "must be empty: the server has no snapshot yet whose vectors it could be "
                        "compared with");
  }
  if (size != 0 && size != width) {
    return InvalidField("embedding", fmt::format("{} numbers", size),
                        fmt::format("must have {} numbers, as the snapshot's, or none", width));
  }
  for (const float value : request.embedding()) {
    if (!IsEmbeddingNumber(value)) {
      return InvalidField(
          "embedding", fmt::format("{}", value),
          fmt::format("must hold numbers between -{0} and {0}", kEmbeddingNumberMax));
    }
  }
  const absl::StatusOr<Availability> availability = CheckAvailability(request);
  if (!availability.ok()) return availability.status();
  groundswell::UpsertItem item{
      .item_id = request.item_id(),
      .title = request.title(),
      .category = request.category(),
      .embedding = {request.embedding().begin(), request.embedding().end()},
      .clusters_of = snapshot.digest(),
      .availability = *availability};
  item.cluster = snapshot.ClusterOfNewItem(item.embedding);
  return item;
}

}  // namespace groundswell
