// SURGE's forward pass (SIGIR 2021, arXiv 2106.14226), in the two variants that docs/models.md
// describes step by step.
//
// What depends on the user alone is made once per request: the interest graph, the fused items, and
// for every item of the history the matrix M_i that the first layer of an attention is for a
// candidate's embedding t:
//
//   W [a_i, t, a_i - t, a_i * t] + b = u_i + M_i t,
//   u_i = (W_a + W_d) a_i + b,   M_i = (W_q - W_d) + W_p diag(a_i)
//
// Then an item of the history costs one product over all candidates of a block, and the AUGRU one
// product per step over all candidates that have as many steps.
#ifndef GROUNDSWELL_MODELS_SURGE_FORWARD_H_
#define GROUNDSWELL_MODELS_SURGE_FORWARD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "models/ranker.h"
#include "models/surge/interest_graph.h"
#include "models/surge/weights.h"

namespace groundswell {

// One attention's first layer for every item of a history: z = own_i + matrices_i t.
struct SurgeFirstLayers {
  SurgeFirstLayers(size_t positions, size_t in, size_t out);

  std::vector<float> own;       // L x out
  std::vector<float> matrices;  // L x in x out: M_i transposed
};

// What both variants use. Matrices are row-major; L is the maximum history, n a block's candidates.
struct SurgeScratch : RankerScratch {
  SurgeScratch(const SurgeWeights& weights, size_t block_size);

  size_t block_size;
  Bf16Scratch products;
  // Of the user.
  size_t length = 0;  // items of the history that are read, at most L
  InterestGraph graph;
  std::vector<float> history;      // L x d: embeddings, oldest first; row 0's behind them
  std::vector<float> transformed;  // L x d: of the attention at hand
  std::vector<float> product;      // L x d
  std::vector<float> fused;        // L x d: Xc
  // Of the candidates.
  std::vector<float> targets;    // n x d: t
  std::vector<float> hidden1;    // n x hidden
  std::vector<float> hidden2;    // n x hidden
  std::vector<float> state;      // n x h: of the AUGRU
  std::vector<float> reset;      // n x h: r * s
  std::vector<float> gates;      // n x 2h
  std::vector<float> candidate;  // n x h
  // Of one step of the AUGRU, by row of `state`.
  std::vector<uint32_t> step_input;  // the row of the products of the input
  std::vector<float> step_attention;
  std::vector<float> head_input;  // n x (h + 3d): [state | readout | t | readout * t]
};

struct SurgeAuthorsScratch final : SurgeScratch {
  SurgeAuthorsScratch(const SurgeWeights& weights, size_t block_size);

  // Of the user.
  std::vector<float> normalised;   // L x L: An, then E
  std::vector<float> of_position;  // L: D, then exp(f1)
  std::vector<float> query;        // L x d: An An X
  std::vector<float> concat;       // L x 4d
  std::vector<float> user_hidden1, user_hidden2;
  std::vector<float> cluster_attention;  // L: softmax of f1 over the history, then over Xc
  SurgeFirstLayers f2, evolution;
  std::vector<float> inputs;  // L x 3h: the input's part of the AUGRU's layers
  // Of the candidates.
  std::vector<float> score;           // n x L
  std::vector<float> kept_score;      // n x L: 0 where not kept
  std::vector<float> ranked;          // L
  std::vector<uint32_t> kept;         // n x L: the kept positions in the order of time
  std::vector<uint32_t> kept_count;   // n
  std::vector<float> kept_attention;  // n x L: by place in `kept`
  std::vector<uint32_t> order;        // n: candidates, most kept positions first
  std::vector<uint32_t> longer;       // L + 1: candidates with more kept positions than that
  std::vector<uint32_t> next_place;   // L + 1
  std::vector<uint32_t> members;      // n: the candidates that keep the position at hand
  std::vector<uint32_t> place;        // n: how many kept positions of a candidate are done
  std::vector<float> member_targets;  // n x d
};

struct SurgePaperScratch final : SurgeScratch {
  SurgePaperScratch(const SurgeWeights& weights, size_t block_size);

  // Of the user.
  SurgeFirstLayers query;
  std::vector<float> neighbours;  // L x (L d): row j holds A_ij W_f h_j for every i
  // Of the candidates; n x L, packed to the history's length, unless stated.
  std::vector<float> beta;
  std::vector<float> gamma;          // softmax of beta
  std::vector<float> weight_sum;     // of gamma over the neighbours of each position
  std::vector<float> fused_items;    // n x L x d: h'
  std::vector<float> projected;      // n x L x m: W_p h'
  std::vector<float> by_cluster;     // n x (m + 1) x L: W_p h' by cluster
  std::vector<float> assignment;     // n x (m + 1) x L: S' and, as the last row, gamma
  std::vector<float> clusters;       // (n x m + 1) x d: h*
  std::vector<float> cluster_score;  // n x m: gamma*
  std::vector<float> inputs;         // n x m x 3h
};

std::unique_ptr<SurgeScratch> NewSurgeScratch(const SurgeWeights& weights, size_t block_size);

// See Ranker. FailedPrecondition on an empty history, which has no interest graph. The
// intermediates stay in the scratch, for tests.
absl::Status SurgePrepareUser(const SurgeWeights& weights, const UserFeatures& user,
                              SurgeScratch& scratch);
void SurgeScoreItems(const SurgeWeights& weights, const ItemFeatures& items, SurgeScratch& scratch,
                     std::span<float> logits);

// The variants' own parts, which the two functions above call.
void PrepareAuthorsUser(const SurgeWeights& weights, SurgeAuthorsScratch& scratch);
void ScoreAuthorsItems(const SurgeWeights& weights, size_t n, SurgeAuthorsScratch& scratch);
void PreparePaperUser(const SurgeWeights& weights, SurgePaperScratch& scratch);
void ScorePaperItems(const SurgeWeights& weights, size_t n, SurgePaperScratch& scratch);

// What they share. Matrices have room for PaddedRows(rows) rows.

// out (rows x out of the weight) = x (rows `stride` apart) W', without the bias.
void ApplyWeight(const DenseLayer& dense, const float* x, size_t stride, size_t rows, float* out,
                 SurgeScratch& scratch);

// The same in f32, whatever the weight's precision: for the user's side.
void ApplyWeightInF32(const DenseLayer& dense, const float* x, size_t stride, size_t rows,
                      float* out);

// own_i = own' a_i + b and M_i = query + query_product diag(a_i), for the rows a_i of `a`.
void PrepareFirstLayers(const DenseLayer& own, const DenseLayer& query,
                        const DenseLayer& query_product, const float* a, size_t rows,
                        SurgeFirstLayers& layers);

// One step of the AUGRU for the first `rows` rows of the state, with inputs and attentions from
// step_input and step_attention; `inputs` holds W x + b of all layers (3h).
void EvolveStep(const Gru& augru, std::span<const float> inputs, size_t rows,
                SurgeScratch& scratch);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SURGE_FORWARD_H_
