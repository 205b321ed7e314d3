// MacGNN's forward pass (WWW 2024, arXiv 2401.14939, eq. 6-7), as the served checkpoints compute
// it.
//
// With w_x = softmax(log(count_x + 1) / tau) over all clusters, V, Q, K the aggregators of the
// neighbours' side and s the attention of the manifest (1, or a softmax over the neighbours):
//
//   u1 = sum_k w_u1[k] s_k V_i item_cluster_k        i1 = sum_k w_i1[k] s_k V_u user_cluster_k
//   u2 = sum_k w_u2[k] s_k V_u user_cluster_k        i2 = sum_k w_i2[k] s_k V_i item_cluster_k
//   ur = sum_j [id_j > 0] s_j V_i item_embed_j    ir = sum_j [id_j > 0] s_j V_u user_embed_j
//   x  = [user_embed | u1 | u2 | ur | item_embed | i1 | i2 | ir]                       (14 d)
//   logit = W4 Dice3(W2 Dice1(W0 x + b0) + b2) + b4
//
// Attention keys are the target's embeddings: item_embed of the candidate for u1, ur, i2, and
// user_embed of the user for u2, i1, ir.
//
// The first layer is linear: W0 x + b0 is a sum of products with parts of x. What depends on the
// user alone is made once per request; what depends on the item alone can be kept until the item's
// macro edges change. Without attention that is all of it; with attention [u1 | ur | i1 | ir] is
// left for each pair.
#ifndef GROUNDSWELL_MODELS_MACGNN_FORWARD_H_
#define GROUNDSWELL_MODELS_MACGNN_FORWARD_H_

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "models/macgnn/weights.h"
#include "models/ranker.h"

namespace groundswell {

// Every intermediate of one block of candidates; matrices are row-major, one padded row per
// candidate.
struct MacgnnScratch final : RankerScratch {
  MacgnnScratch(const MacgnnWeights& weights, size_t block_size);

  size_t block_size;
  Bf16Scratch products;
  // Of the user.
  std::vector<float> w_u1;            // Q
  std::vector<float> w_u2;            // P
  std::vector<float> user_half;       // 7d; with attention u1 and ur are 0
  std::vector<float> user_fc0;        // hidden1: W0 of user_half, + b0
  std::vector<float> user_scores;     // P: s of the user clusters
  std::vector<float> user_table;      // P x h: s_k V_u user_cluster_k
  std::vector<float> item_table;      // Q x h: w_u1[k] V_i item_cluster_k
  std::vector<Lanes> ir_query;        // d: B_u user_embed, scores the item's newest users
  std::vector<uint32_t> recent_rows;  // L: the newest items, 0 where there is none
  std::vector<float> recent_sum;      // d: without attention, their embeddings' sum
  std::vector<float> recent_embed;    // L x d: item_embed of the newest items
  std::vector<float> recent_values;   // L x h: V_i item_embed of the newest items
  std::vector<float> recent_scores;   // L x d: B_i' item_embed of the newest items
  // Of the candidates.
  std::vector<float> w_i1;               // n x P
  std::vector<float> w_i2;               // n x Q
  std::vector<float> cluster_attention;  // n x Q: s of the item clusters
  std::vector<float> cluster_weights;    // n x Q: s * w_i2
  std::vector<float> recent_attention;   // n x L: s of the user's newest items
  std::vector<float> ir_attention;       // n x L: s of the items' newest users
  std::vector<uint32_t> recent_users;    // n x L: rows of the newest users, 0 where there is none
  std::vector<Lanes> neighbour_sum;      // d: sum_j s_j user_embed_j of one candidate
  std::vector<float> user_sums;          // n x d: without attention, those sums
  std::vector<float> item_input;         // n x item_layer.in
  std::vector<float> item_fc0;           // n x hidden1: item_layer of it
  std::vector<float> pair_input;         // n x pair_layer.in
  std::vector<float> fc0;                // n x hidden1
  std::vector<float> dice1;              // n x hidden1
  std::vector<float> fc2;                // n x hidden2
  std::vector<float> dice3;              // n x hidden2
  // Of variants of the user; v is as many as a block has room for, with all of their candidates.
  std::vector<float> variant_half;  // v x 7d
  std::vector<float> variant_fc0;   // v x hidden1: W0 of it
  std::vector<float> variant_ur;    // n x h: ur of the variant at hand
};

// See Ranker. The intermediates stay in the scratch, for tests.
void MacgnnPrepareUser(const MacgnnWeights& weights, const UserFeatures& user,
                       MacgnnScratch& scratch);
void MacgnnScoreItems(const MacgnnWeights& weights, const ItemFeatures& items,
                      MacgnnScratch& scratch, std::span<float> logits);

// See Ranker. An item's part of the first layer is prepared; with attention also what the pairs'
// part needs: item_embed, s over the item clusters, w_i1, and, as bits, the rows of its newest
// users.
size_t MacgnnPreparedWidth(const MacgnnWeights& weights);
void MacgnnPrepareItems(const MacgnnWeights& weights, const ItemFeatures& items,
                        MacgnnScratch& scratch, std::span<float> prepared);
void MacgnnScorePrepared(const MacgnnWeights& weights, std::span<const float> prepared,
                         MacgnnScratch& scratch, std::span<float> logits);

// See Ranker. What depends on the candidates and the user's row alone is made once.
bool MacgnnScoreVariants(const MacgnnWeights& weights, std::span<const UserFeatures> variants,
                         const ItemFeatures& items, MacgnnScratch& scratch,
                         const std::function<bool()>& has_time, std::span<float> logits);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_MACGNN_FORWARD_H_
