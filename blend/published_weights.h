// PublishedBlendWeights: the weights that requests read, while one thread learns better ones.
//
// Two slots: the writer fills the one that is not read from and then says so; a reader copies the
// other (804 bytes), and does it again if others came meanwhile, as the slot may then be being
// written over. So nobody waits for a writer that lost its core, which a sequence lock on one slot
// would have readers do (the writer is the applier, of lower priority than they); and nothing is
// counted up and down on one line of memory by all cores, as with a shared_ptr.
#ifndef GROUNDSWELL_BLEND_PUBLISHED_WEIGHTS_H_
#define GROUNDSWELL_BLEND_PUBLISHED_WEIGHTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "blend/model.h"

namespace groundswell {

// One writer beside any number of readers. No locks, no allocation.
class PublishedBlendWeights {
 public:
  explicit PublishedBlendWeights(const BlendWeights& weights = BuiltInBlendWeights()) {
    Publish(weights);
  }

  void Publish(const BlendWeights& weights) {
    const uint64_t version = version_.load(std::memory_order_relaxed) + 1;
    Slot& slot = slots_[version % slots_.size()];
    for (size_t row = 0; row < BlendWeights::kRows; ++row) {
      for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
        // With release, as a reader that sees it must also see the version before it.
        slot[row][feature].store(weights.rows[row][feature], std::memory_order_release);
      }
    }
    version_.store(version, std::memory_order_release);
  }

  BlendWeights Read() const {
    BlendWeights weights;
    uint64_t version = version_.load(std::memory_order_acquire);
    while (true) {
      const Slot& slot = slots_[version % slots_.size()];
      for (size_t row = 0; row < BlendWeights::kRows; ++row) {
        for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
          weights.rows[row][feature] = slot[row][feature].load(std::memory_order_acquire);
        }
      }
      const uint64_t now = version_.load(std::memory_order_acquire);
      if (now == version) return weights;
      version = now;
    }
  }

 private:
  using Slot = std::array<std::array<std::atomic<float>, kBlendFeatures>, BlendWeights::kRows>;
  std::array<Slot, 2> slots_{};
  std::atomic<uint64_t> version_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_BLEND_PUBLISHED_WEIGHTS_H_
