// LogScan: a log read once as a whole, to say what it holds before anything is done with it.
#ifndef GROUNDSWELL_CLIENT_QUICKSTART_LOG_SCAN_H_
#define GROUNDSWELL_CLIENT_QUICKSTART_LOG_SCAN_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "client/events/event_reader.h"

namespace groundswell {

// A type as a server may be configured to know it: "Add to cart" is "add_to_cart".
std::string ServerTypeOf(std::string_view type);

struct LogScan {
  // A server is configured with so many types at most.
  static constexpr size_t kTypesMax = 32;

  // Reads all of it. InvalidArgument when it holds no interaction, or more than kTypesMax types;
  // the errors of EventReader but those of single records, which are left out; Cancelled when
  // `stopped` answers true. `progress` is told now and then how many records were read.
  absl::Status Read(EventReader& reader, const std::function<bool()>& stopped,
                    const std::function<void(uint64_t records)>& progress);

  uint64_t users() const { return users_.size(); }
  uint64_t items() const { return items_.size(); }

  LogSummary summary;
  LogShape shape;
  std::map<std::string, uint64_t> types;  // as ServerTypeOf has them, and how often
  int64_t first_us = 0;
  int64_t last_us = 0;
  std::string newest_user;  // of the last interaction

 private:
  void Take(const v1::Interaction& interaction);

  // Hashes: to count them is all.
  absl::flat_hash_set<size_t> users_;
  absl::flat_hash_set<size_t> items_;
};

// What was read, for people: which columns, how many users and items, when, and what was left out.
std::string Describe(const LogScan& scan, std::string_view file);

// The weights of the log's types: those of the default configuration, and 1 of others; with the
// default types that the log does not have.
std::map<std::string, int64_t> WeightsOf(const LogScan& scan);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_QUICKSTART_LOG_SCAN_H_
