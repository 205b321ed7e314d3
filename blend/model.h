// BlendModel: in what order a request's candidates are, learned from what was taken.
//
// Listwise and linear: with the features x_c of each candidate c (features.h) in a context k,
//
//   s_c = w_k . x_c        P(c is taken next) = exp(s_c) / sum over the candidates exp(s)
//
// the top-one probability of ListNet (Cao, Qin, Liu, Tsai, Li, "Learning to rank: from pairwise
// approach to listwise approach", ICML 2007). A step is one of the natural gradient on the cross
// entropy of the item that was then taken, y:
//
//   g = sum over the candidates of P(c) x_c - x_y
//   w_k -= (I_k + prior)^-1 g      w_k within -kMax .. kMax
//
// with I_k, what the lists of that context told so far (fisher_information.h). A step that would
// move a weight by more than kStepMax is shortened: so no weight moves by more, whatever one is
// made to learn from.
//
// Scores, steps and states are the same bits on every machine: each candidate's sum is in the order
// of the features, each feature's in eight sums by the candidate's number modulo eight, without
// contracted products and library functions (arithmetic.h).
#ifndef GROUNDSWELL_BLEND_MODEL_H_
#define GROUNDSWELL_BLEND_MODEL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "blend/features.h"
#include "blend/fisher_information.h"

namespace groundswell {

// Who asks. The names stand in files of weights; the order in stored states.
enum class BlendContext : uint8_t {
  kNewUser,          // little is known of them
  kInVisit,          // took something a moment ago
  kReturning,        // comes back, and may be shown what they had before
  kReturningUnseen,  // comes back, and may not
};
inline constexpr std::array<std::string_view, 4> kBlendContexts = {"new_user", "in_visit",
                                                                   "returning", "returning_unseen"};

// Those of each context, by BlendContext.
struct BlendWeights {
  static constexpr size_t kRows = kBlendContexts.size();
  using Row = std::array<float, kBlendFeatures>;
  std::array<Row, kRows> rows{};
  bool operator==(const BlendWeights&) const = default;

  Row& Of(BlendContext context) { return rows[static_cast<size_t>(context)]; }
  const Row& Of(BlendContext context) const { return rows[static_cast<size_t>(context)]; }

  // Between -kMax and kMax; what a file of weights, a state and a step may give.
  static constexpr float kMax = 32;
};

// What the server starts with where nothing else is given: learned on two logs together, a shop's
// and a news site's (docs/retrieval.md).
const BlendWeights& BuiltInBlendWeights();

// One writer; readers take a copy of weights().
class BlendModel {
 public:
  // By which no weight moves more in one step.
  static constexpr float kStepMax = .5f;

  struct Learned {
    uint64_t steps = 0;
    uint64_t missed = 0;  // the item that was taken was not among the candidates
    std::array<uint64_t, kBlendContexts.size()> of_context{};  // both, by BlendContext
    bool operator==(const Learned&) const = default;
  };
  // Memory of one call at a time, grown by the first ones.
  struct Scratch {
    std::vector<float> scores;  // of the candidates, before the step
    std::vector<double> chances;
    FisherInformation::Scratch of_information;
  };

  explicit BlendModel(const BlendWeights& start = BuiltInBlendWeights());

  // One step. `taken`: which candidate was; nullopt counts as missed and changes no weight.
  void Learn(const BlendFeatures& features, BlendContext context, std::optional<size_t> taken,
             Scratch& scratch);

  // Forgets what it learned.
  void Reset(const BlendWeights& start = BuiltInBlendWeights());

  const BlendWeights& weights() const { return weights_; }
  const Learned& learned() const { return learned_; }

  // All that it is: version (u32, 3), features (u32), contexts (u32), 4 bytes 0, steps, missed,
  // those of each context (u64), then the weights of each context, then the entries of its
  // information (f32), little-endian. Equal states are equal bytes.
  std::string EncodeState() const;
  // DataLoss, and nothing changed, when the bytes are not such a state.
  absl::Status DecodeState(std::string_view state);

 private:
  void Move(BlendContext context, std::span<const double, kBlendFeatures> step);

  using Information = std::array<FisherInformation, BlendWeights::kRows>;

  BlendWeights weights_;
  Information information_;  // I
  Learned learned_;
};

// The scores of all candidates in a context. REQUIRES: as many of `scores`. Allocates nothing, and
// takes no lock.
void ScoreBlend(const BlendWeights& weights, const BlendFeatures& features, BlendContext context,
                std::span<float> scores);

// Adds what the ranker's features say to scores that were made without a ranker's list: then they
// have the same bits as if it had been there.
void AddRankerToBlend(const BlendWeights& weights, const BlendFeatures& features,
                      BlendContext context, std::span<float> scores);

// What one feature adds to a candidate's score.
float BlendTerm(const BlendWeights& weights, const BlendFeatures& features, BlendContext context,
                size_t feature, size_t candidate);

}  // namespace groundswell

#endif  // GROUNDSWELL_BLEND_MODEL_H_
