#include "client/load/load_generator.h"

#include <fmt/format.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <boost/histogram.hpp>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include "client/client.h"
#include "groundswell/v1/admin.grpc.pb.h"
#include "groundswell/v1/recommend.grpc.pb.h"
#include "scheduling/thread_scheduling.h"

namespace groundswell {
namespace {

namespace bh = boost::histogram;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr double kShortest = 1e3;   // ns
constexpr double kLongest = 100e9;  // ns
constexpr double kBinWidth = 1.01;  // upper over lower edge
constexpr double kRateMin = 0.001;
constexpr double kRateMax = 1e6;
constexpr std::chrono::milliseconds kProgressInterval{200};

using LogAxis = bh::axis::regular<double, bh::axis::transform::log>;

LogAxis MakeAxis() {
  const double bins = std::ceil(std::log(kLongest / kShortest) / std::log(kBinWidth));
  return LogAxis(static_cast<unsigned>(bins), kShortest, kLongest);
}

absl::Status CheckOptions(const LoadOptions& options) {
  const auto bad = [](std::string_view what) {
    return absl::InvalidArgumentError(std::string(what));
  };
  if (!(options.rate == 0 || (options.rate >= kRateMin && options.rate <= kRateMax))) {
    return bad(fmt::format("--rate is {}; it must be 0 (unlimited), or {} to {}", options.rate,
                           kRateMin, kRateMax));
  }
  if (options.concurrency < 1 || options.concurrency > 100'000) {
    return bad("--concurrency must be 1 to 100000");
  }
  if (options.connections < 1 || options.connections > 1'000) {
    return bad("--connections must be 1 to 1000");
  }
  if (options.duration.count() <= 0) return bad("--duration-s must be positive");
  if (options.warmup.count() < 0) return bad("--warmup-s must not be negative");
  if (options.timeout.count() <= 0) return bad("--timeout-ms must be positive");
  if (options.method != LoadOptions::Method::kStatus && options.users.empty()) {
    return bad("name at least one user with --user or --users-file");
  }
  if (options.method == LoadOptions::Method::kRank && options.items.empty()) {
    return bad("name at least one item with --item");
  }
  return absl::OkStatus();
}

// Sends calls on several connections and counts what comes back.
class Sender {
 public:
  explicit Sender(const LoadOptions& options) : options_(options) {
    rank_.set_namespace_(options.name_space);
    rank_.set_ranker(options.ranker);
    for (const std::string& item : options.items) rank_.add_item_ids(item);
  }

  ~Sender() { WaitUntilAllAnswered(); }

  absl::Status Connect() {
    for (size_t i = 0; i < options_.connections; ++i) {
      // Different arguments keep gRPC from sharing one connection.
      grpc::ChannelArguments arguments;
      arguments.SetInt("groundswell.connection", static_cast<int>(i));
      auto channel = MakeChannel(options_.connection, arguments);
      if (!channel.ok()) return channel.status();
      channels_.push_back(*std::move(channel));
      recommend_.push_back(v1::RecommendationService::NewStub(channels_.back()));
      admin_.push_back(v1::AdminService::NewStub(channels_.back()));
    }
    for (const auto& channel : channels_) {
      if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(5))) {
        return absl::UnavailableError(fmt::format(
            "no server answers at {}; start one, or set --server", options_.connection.address));
      }
    }
    return absl::OkStatus();
  }

  // Sends one call whose latency counts from `intended`, if it is `counted` at all.
  void Send(steady_clock::time_point intended, bool counted) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      if (options_.rate == 0) {
        changed_.wait(lock, [this] { return under_way_ < options_.concurrency; });
        intended = steady_clock::now();
      } else if (under_way_ >= options_.concurrency) {
        if (counted) ++report_.not_sent;
        return;
      }
      ++under_way_;
    }
    const size_t number = next_++;
    switch (options_.method) {
      case LoadOptions::Method::kRecommend: {
        v1::RecommendRequest request;
        request.set_namespace_(options_.name_space);
        request.set_user_id(options_.users[number % options_.users.size()]);
        request.set_ranker(options_.ranker);
        Start<v1::RecommendResponse>(intended, counted, request, [this, number](auto... arguments) {
          recommend_[number % recommend_.size()]->async()->Recommend(arguments...);
        });
        break;
      }
      case LoadOptions::Method::kRank: {
        v1::RankRequest request = rank_;
        request.set_user_id(options_.users[number % options_.users.size()]);
        Start<v1::RankResponse>(intended, counted, request, [this, number](auto... arguments) {
          recommend_[number % recommend_.size()]->async()->Rank(arguments...);
        });
        break;
      }
      case LoadOptions::Method::kStatus: {
        v1::GetServerStatusRequest request;
        request.set_namespace_(options_.name_space);
        Start<v1::ServerStatus>(intended, counted, request, [this, number](auto... arguments) {
          admin_[number % admin_.size()]->async()->GetServerStatus(arguments...);
        });
        break;
      }
    }
  }

  // The report, once every call was answered; at the latest after the timeout of a call.
  LoadReport TakeReport() {
    WaitUntilAllAnswered();
    return std::move(report_);
  }

  uint64_t completed() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return report_.completed;
  }

 private:
  template <typename Request, typename Response>
  struct Call {
    grpc::ClientContext context;
    Request request;
    Response response;
  };

  template <typename Response, typename Request, typename Method>
  void Start(steady_clock::time_point intended, bool counted, const Request& request,
             const Method& method) {
    auto* call = new Call<Request, Response>{{}, request, {}};
    call->context.set_deadline(std::chrono::system_clock::now() + options_.timeout);
    method(&call->context, &call->request, &call->response,
           std::function<void(grpc::Status)>(
               [this, call, intended, counted](const grpc::Status& status) {
                 const nanoseconds latency = steady_clock::now() - intended;
                 bool degraded = false;
                 if constexpr (requires { call->response.degradations_size(); }) {
                   degraded = call->response.degradations_size() > 0;
                 }
                 // Before it is completed: the context holds the channel, and a channel whose last
                 // holder is gRPC's own thread waits there for the end of that thread.
                 delete call;
                 Complete(latency, status.error_code(), degraded, counted);
               }));
  }

  void Complete(nanoseconds latency, int code, bool degraded, bool counted) {
    const std::lock_guard<std::mutex> lock(mutex_);
    --under_way_;
    if (counted) {
      ++report_.completed;
      ++report_.codes[code];
      report_.degraded += degraded ? 1 : 0;
      report_.latency.Add(latency);
      if (code == grpc::StatusCode::OK) report_.ok_latency.Add(latency);
    }
    // Under the lock: the destructor may run as soon as it is released.
    changed_.notify_all();
  }

  void WaitUntilAllAnswered() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return under_way_ == 0; });
  }

  const LoadOptions& options_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::unique_ptr<v1::RecommendationService::Stub>> recommend_;
  std::vector<std::unique_ptr<v1::AdminService::Stub>> admin_;
  v1::RankRequest rank_;
  size_t next_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  size_t under_way_ = 0;
  LoadReport report_;
};

// Times between calls.
class Schedule {
 public:
  explicit Schedule(const LoadOptions& options)
      : mean_ns_(options.rate > 0 ? 1e9 / options.rate : 0),
        poisson_(options.arrivals == LoadOptions::Arrivals::kPoisson),
        random_(options.seed) {}

  nanoseconds Next() {
    const double gap = poisson_ ? exponential_(random_) * mean_ns_ : mean_ns_;
    return nanoseconds(static_cast<int64_t>(gap));
  }

 private:
  const double mean_ns_;
  const bool poisson_;
  std::mt19937_64 random_;
  std::exponential_distribution<double> exponential_{1.0};
};

}  // namespace

struct LatencyHistogram::Bins {
  decltype(bh::make_histogram(MakeAxis())) histogram = bh::make_histogram(MakeAxis());
  uint64_t count = 0;
};

LatencyHistogram::LatencyHistogram() : bins_(std::make_unique<Bins>()) {}
LatencyHistogram::~LatencyHistogram() = default;
LatencyHistogram::LatencyHistogram(LatencyHistogram&&) noexcept = default;
LatencyHistogram& LatencyHistogram::operator=(LatencyHistogram&&) noexcept = default;

void LatencyHistogram::Add(nanoseconds latency) {
  const auto value = static_cast<double>(latency.count());
  bins_->histogram(std::clamp(value, kShortest, kLongest * (1 - 1e-9)));
  ++bins_->count;
  max_ = std::max(max_, latency);
}

uint64_t LatencyHistogram::count() const { return bins_->count; }

nanoseconds LatencyHistogram::Quantile(double share) const {
  const double wanted = share * static_cast<double>(bins_->count);
  double seen = 0;
  for (const auto& bin : bh::indexed(bins_->histogram)) {
    seen += *bin;
    if (seen > 0 && seen >= wanted) {
      return std::min(max_, nanoseconds(static_cast<int64_t>(bin.bin(0).upper())));
    }
  }
  return nanoseconds(0);
}

absl::StatusOr<LoadReport> GenerateLoad(const LoadOptions& options,
                                        const std::function<void(nanoseconds, uint64_t)>& progress,
                                        const std::function<bool()>& cancelled) {
  if (absl::Status s = CheckOptions(options); !s.ok()) return s;
  // Else it would measure its own waits for a core too; gRPC's threads inherit it.
  RequestShortSlices();
  Sender sender(options);
  if (absl::Status s = sender.Connect(); !s.ok()) return s;
  Schedule schedule(options);
  const auto begin = steady_clock::now();
  const auto count_from = begin + options.warmup;
  const auto end = count_from + options.duration;
  auto next_progress = begin;
  for (auto intended = begin; intended < end; intended += schedule.Next()) {
    if (options.rate == 0) intended = steady_clock::now();
    std::this_thread::sleep_until(intended);
    if (cancelled()) break;
    sender.Send(intended, intended >= count_from);
    if (intended >= next_progress) {
      progress(intended - begin, sender.completed());
      next_progress = intended + kProgressInterval;
    }
  }
  const auto stopped = std::max(steady_clock::now(), count_from);
  // What is under way still belongs to the interval in which it was sent.
  LoadReport report = sender.TakeReport();
  report.seconds = std::chrono::duration<double>(stopped - count_from).count();
  return report;
}

}  // namespace groundswell
