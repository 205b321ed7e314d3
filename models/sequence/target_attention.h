// The attention of a candidate to every position of a history, which DIN, DIEN and SLi-Rec share:
//
//   a_i = W k_i,  q = PReLU(W q + b)                  each as it is where it has no tensors
//   att = softmax over i of MLP([a_i, q, a_i - q, a_i * q])
//
// With the first layer [W_a W_q W_d W_p] over those four, it is one matrix per position:
//
//   z = u_i + M_i q,  u_i = (W_a + W_d) a_i + b,  M_i = (W_q - W_d) + W_p diag(a_i)
//
// u_i and M_i depend on the user alone, and M_i stays in the cache while a block's candidates pass.
#ifndef GROUNDSWELL_MODELS_SEQUENCE_TARGET_ATTENTION_H_
#define GROUNDSWELL_MODELS_SEQUENCE_TARGET_ATTENTION_H_

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "models/files/checkpoint_reader.h"
#include "models/math/weight.h"
#include "models/sequence/layers.h"

namespace groundswell {

struct TargetAttention {
  DenseLayer keys;                 // W of a_i; empty: a_i = k_i
  DenseLayer query;                // W and b of q; empty: q as it is
  std::vector<float> query_slope;  // alpha of its PReLU
  DenseLayer own;                  // W_a + W_d, with the first layer's bias
  DenseLayer of_query;             // W_q - W_d
  DenseLayer of_product;           // W_p
  Mlp mlp;                         // the layers behind the first

  size_t width() const { return of_query.in(); }  // of a_i and q
  size_t hidden() const { return of_query.out(); }
};

// What the tensors `target` hold of the forms above.
enum class AttentionKeys { kAsTheyAre, kTransformed };  // target.attention.weight
enum class AttentionQuery { kAsItIs, kTransformed };    // target.query.{weight,bias,alpha}

struct AttentionForm {
  AttentionKeys keys = AttentionKeys::kAsTheyAre;
  AttentionQuery query = AttentionQuery::kAsItIs;
  Activation activation = Activation::kRelu;
  size_t key_width = 0;
  size_t query_width = 0;  // of the candidate's embedding
};

// REQUIRES: where neither is transformed, the widths are equal; of a transformed one the other's
// width is taken.
TargetAttention ReadTargetAttention(CheckpointReader& reader, const AttentionForm& form,
                                    size_t max_history);
absl::Status PackTargetAttention(Precision precision, TargetAttention& attention);

struct TargetAttentionScratch {
  TargetAttentionScratch(const TargetAttention& of, size_t max_history, size_t block_size);

  // Of the user.
  std::vector<float> keys;      // L x width: a_i
  std::vector<float> own;       // L x hidden: u_i
  std::vector<float> matrices;  // L x width x hidden: M_i transposed
  // Of the candidates.
  std::vector<float> queries;  // n x width: q, where it is transformed
  MlpScratch mlp;
  std::vector<float> attention;  // n x length: att
};

// `keys` holds PaddedRows(length) rows of k_i.
void PrepareAttention(const TargetAttention& attention, const float* keys, size_t length,
                      TargetAttentionScratch& scratch);

// scratch.attention (n x length) for n candidates, whose embeddings are the rows of `targets`.
void Attend(const TargetAttention& attention, const float* targets, size_t n, size_t length,
            TargetAttentionScratch& scratch, Bf16Scratch& products);

// out (n x width) = sum_i att_i v_i over the rows v of `values` (length x width).
void SumByAttention(const TargetAttentionScratch& scratch, const float* values, size_t width,
                    size_t n, size_t length, MutableMatrix out);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SEQUENCE_TARGET_ATTENTION_H_
