#include "models/encoders/forward_push.h"

#include <deque>
#include <utility>

namespace groundswell {
namespace {

class PushState {
 public:
  PushState(const PushGraph& graph, std::span<const double> seed, const PushOptions& options)
      : graph_(graph), options_(options), is_queued_(seed.size()) {
    result_.p.resize(seed.size());
    degree_.reserve(seed.size());
    result_.residual.assign(seed.begin(), seed.end());
    for (size_t v = 0; v < seed.size(); ++v) {
      degree_.push_back(0);
      for (uint64_t at = graph.begin[v]; at < graph.begin[v + 1]; ++at) {
        degree_[v] += graph.weight[at];
      }
    }
    for (size_t v = 0; v < seed.size(); ++v) QueueIfLarge(static_cast<uint32_t>(v));
  }

  PushResult Run() && {
    while (!queue_.empty()) {
      const uint32_t v = queue_.front();
      const size_t edges = graph_.begin[v + 1] - graph_.begin[v];
      if (options_.edges_max > 0 && result_.edges + edges > options_.edges_max) break;
      queue_.pop_front();
      is_queued_[v] = false;
      Push(v);
      result_.edges += edges;
      ++result_.pushes;
    }
    result_.is_done = queue_.empty();
    return std::move(result_);
  }

 private:
  void QueueIfLarge(uint32_t v) {
    if (is_queued_[v] || !(result_.residual[v] > options_.epsilon * degree_[v])) return;
    is_queued_[v] = true;
    queue_.push_back(v);
  }

  void Push(uint32_t v) {
    const double residual = std::exchange(result_.residual[v], 0);
    result_.p[v] += options_.alpha * residual;
    for (uint64_t at = graph_.begin[v]; at < graph_.begin[v + 1]; ++at) {
      const uint32_t neighbor = graph_.neighbor[at];
      result_.residual[neighbor] +=
          (1 - options_.alpha) * residual * (graph_.weight[at] / degree_[v]);
      QueueIfLarge(neighbor);
    }
  }

  const PushGraph& graph_;
  const PushOptions& options_;
  std::vector<bool> is_queued_;
  std::vector<double> degree_;
  std::deque<uint32_t> queue_;
  PushResult result_;
};

}  // namespace

PushResult ForwardPush(const PushGraph& graph, std::span<const double> seed,
                       const PushOptions& options) {
  return PushState(graph, seed, options).Run();
}

}  // namespace groundswell
