#include "models/encoders/mixture_encoder.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "models/math/elementwise.h"

namespace groundswell {
namespace {

constexpr size_t kMixtureClustersMax = 65'536;

class MixtureEncoder final : public TargetEncoder {
 public:
  MixtureEncoder(const Manifest::Encoder& encoder, size_t dim, size_t clusters_max,
                 SafetensorsFile file, std::span<const float> centroids)
      : TargetEncoder(encoder, dim),
        clusters_max_(clusters_max),
        file_(std::move(file)),
        centroids_(centroids) {}

  EncoderShape shape() const override { return {.dim = dim(), .clusters = clusters()}; }
  std::unique_ptr<EncoderScratch> NewScratch() const override {
    return std::make_unique<MixtureScratch>(clusters());
  }

 private:
  size_t clusters() const { return centroids_.size() / dim(); }

  void EncodeTarget(const EncoderInput& /*input*/, const EncoderTarget& target,
                    EncoderScratch& of_thread, std::span<float> out) const override {
    auto& scratch = static_cast<MixtureScratch&>(of_thread);
    const std::span<const int64_t> counts = target.clusters;
    std::iota(scratch.order.begin(), scratch.order.end(), 0u);
    const size_t most = std::min(clusters_max_, counts.size());
    const auto end = scratch.order.begin() + static_cast<ptrdiff_t>(most);
    std::partial_sort(scratch.order.begin(), end, scratch.order.end(), [&](uint32_t a, uint32_t b) {
      return std::tuple(-counts[a], a) < std::tuple(-counts[b], b);
    });
    std::fill(scratch.share.begin(), scratch.share.end(), 0.0);
    double sum = 0;
    for (auto at = scratch.order.begin(); at != end && counts[*at] > 0; ++at) {
      sum += static_cast<double>(counts[*at]);
    }
    for (auto at = scratch.order.begin(); at != end && counts[*at] > 0; ++at) {
      scratch.share[*at] = static_cast<double>(counts[*at]) / sum;
      AddScaled(VectorRow(centroids_, dim(), *at), static_cast<float>(scratch.share[*at]), out);
    }
  }

  const size_t clusters_max_;
  const SafetensorsFile file_;  // holds the centroids
  const std::span<const float> centroids_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Encoder>> MakeMixtureEncoder(const Manifest::Encoder& encoder,
                                                            const SafetensorsFile& file,
                                                            const TrainedVectors& trained) {
  OptionReader option("mixture", encoder.options);
  const size_t clusters_max = option.Size("clusters_max", kMixtureClustersMax);
  if (absl::Status s = option.Finish(); !s.ok()) return s;
  if (absl::Status s = RequireUserSide(encoder, "mixture"); !s.ok()) return s;
  CheckpointReader reader(file);
  const size_t clusters = reader.MatrixShape("item_centroids", kMixtureClustersMax, trained.dim)[0];
  const auto centroids = reader.Read("item_centroids", {clusters, trained.dim});
  if (!reader.ok()) return reader.Finish();
  return std::unique_ptr<Encoder>(
      new MixtureEncoder(encoder, trained.dim, clusters_max, file, centroids));
}

}  // namespace groundswell
