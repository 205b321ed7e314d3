// An open-loop load generator: calls leave at their intended times, whatever became of the earlier
// ones, and a call's latency counts from its intended time. A server that stalls therefore shows
// all of the waiting that it caused (no coordinated omission).
#ifndef GROUNDSWELL_CLIENT_LOAD_LOAD_GENERATOR_H_
#define GROUNDSWELL_CLIENT_LOAD_LOAD_GENERATOR_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/channel.h"

namespace groundswell {

// Latencies of 1 us to 100 s in bins at most 1% wide; outside of that the ends count.
class LatencyHistogram {
 public:
  LatencyHistogram();
  ~LatencyHistogram();
  LatencyHistogram(LatencyHistogram&&) noexcept;
  LatencyHistogram& operator=(LatencyHistogram&&) noexcept;

  void Add(std::chrono::nanoseconds latency);
  uint64_t count() const;
  // The latency that `share` (0 to 1) of the calls did not exceed; 0 when there are none.
  std::chrono::nanoseconds Quantile(double share) const;
  std::chrono::nanoseconds max() const { return max_; }

 private:
  struct Bins;
  std::unique_ptr<Bins> bins_;
  std::chrono::nanoseconds max_{0};
};

struct LoadOptions {
  enum class Method { kRecommend, kRank, kStatus };
  enum class Arrivals { kConstant, kPoisson };

  Connection connection;
  std::string name_space = "default";
  Method method = Method::kRecommend;
  std::vector<std::string> users;  // taken in turn; Recommend and Rank need at least one
  std::vector<std::string> items;  // Rank: the items of every call
  std::string ranker;              // Recommend and Rank; empty: the server's default
  double rate = 100;               // per second, at least 0.001; 0: as `concurrency` allows
  Arrivals arrivals = Arrivals::kConstant;
  uint64_t seed = 1;
  size_t concurrency = 64;  // calls under way at most; beyond, a call is counted as not sent
  size_t connections = 2;
  std::chrono::milliseconds warmup{1'000};  // sent, not counted
  std::chrono::milliseconds duration{10'000};
  std::chrono::milliseconds timeout{1'000};  // of every call, from when it was sent
};

struct LoadReport {
  double seconds = 0;
  uint64_t completed = 0;
  uint64_t not_sent = 0;          // more than `concurrency` calls would have been under way
  uint64_t degraded = 0;          // answers that say so
  std::map<int, uint64_t> codes;  // by gRPC status code
  LatencyHistogram latency;       // of all completed calls, failed ones included
  LatencyHistogram ok_latency;    // of those that ended OK
};

// Runs to the end of the duration, or until `cancelled` answers true; `progress` is told the
// elapsed time and the calls completed. InvalidArgument names the option that is wrong.
absl::StatusOr<LoadReport> GenerateLoad(
    const LoadOptions& options,
    const std::function<void(std::chrono::nanoseconds elapsed, uint64_t completed)>& progress,
    const std::function<bool()>& cancelled);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_LOAD_LOAD_GENERATOR_H_
