// MacGNN's forward pass (WWW 2024, arXiv 2401.14939, eq. 6-7), as the served checkpoints compute
// it.
//
// With w_x = softmax(log(count_x + 1) / tau) over all macro nodes, V, Q, K the aggregators of the
// neighbours' side and s the attention of the manifest (1, or a softmax over the neighbours):
//
//   u1 = sum_k w_u1[k] s_k V_i item_node_k        i1 = sum_k w_i1[k] s_k V_u user_node_k
//   u2 = sum_k w_u2[k] s_k V_u user_node_k        i2 = sum_k w_i2[k] s_k V_i item_node_k
//   ur = sum_j [id_j > 0] s_j V_i item_embed_j    ir = sum_j [id_j > 0] s_j V_u user_embed_j
//   x  = [user_embed | u1 | u2 | ur | item_embed | i1 | i2 | ir]                       (14 d)
//   logit = W4 Dice3(W2 Dice1(W0 x + b0) + b2) + b4
//
// Attention keys are the target's embeddings: item_embed of the candidate for u1, ur, i2, and
// user_embed of the user for u2, i1, ir.
//
// Without attention x splits into a user's and an item's half, so W0 x is a product made once per
// request plus one of the item alone, which can be kept until the item's macro edges change.
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
  MacgnnScratch(const MacgnnShape& shape, size_t block_size);

  size_t block_size;
  // Of the user.
  std::vector<float> w_u1;            // Q
  std::vector<float> w_u2;            // P
  std::vector<float> user_half;       // 7d; with attention only user_embed and u2 are filled
  std::vector<float> user_fc0;        // hidden1: W0 of user_half
  std::vector<float> key;             // h: K_u user_embed
  std::vector<float> node_table;      // P x h: s_k V_u user_node_k
  std::vector<float> ir_query;        // d: Q_u' K_u user_embed, scores the item's newest users
  std::vector<float> recent_values;   // L x h: V_i item_embed of the newest items
  std::vector<float> recent_queries;  // L x h: Q_i item_embed of the newest items, padding included
  std::vector<uint32_t> recent_rows;  // L: the newest items, 0 where there is none
  // Of the candidates.
  std::vector<float> w_i1;              // n x P
  std::vector<float> w_i2;              // n x Q
  std::vector<float> concat;            // n x 14d; without attention only the item's half is filled
  std::vector<float> keys;              // n x h: K_i item_embed
  std::vector<float> node_attention;    // n x Q
  std::vector<float> node_weights;      // n x Q: attention times w, for u1 and then i2
  std::vector<float> recent_attention;  // n x L
  std::vector<uint32_t> recent_users;   // n x L: rows of the newest users, 0 where there is none
  std::vector<float> neighbour_sum;     // n x d: sum of newest users' embeddings
  std::vector<float> fc0;               // n x hidden1
  std::vector<float> dice1;             // n x hidden1
  std::vector<float> fc2;               // n x hidden2
  std::vector<float> dice3;             // n x hidden2
  std::vector<float> item_fc0;          // n x hidden1: W0 of the items' half, + b0
  // Of variants of the user; v is as many as a block has room for, with all of their candidates.
  std::vector<float> variant_fc0;  // v x hidden1: W0 of the user's half
  std::vector<float> variant_ur;   // n x h: ur of the variant at hand
};

// See Ranker. The intermediates stay in the scratch, for tests.
void MacgnnPrepareUser(const MacgnnWeights& weights, const UserFeatures& user,
                       MacgnnScratch& scratch);
void MacgnnScoreItems(const MacgnnWeights& weights, const ItemFeatures& items,
                      MacgnnScratch& scratch, std::span<float> logits);

// See Ranker. Without attention an item's half of the first layer is prepared; with attention what
// FillItemSide makes of it: item_embed, i2, its key, s over the item nodes, w_i1, and, as bits, the
// rows of its newest users.
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
