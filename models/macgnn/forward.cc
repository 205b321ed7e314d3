#include "models/macgnn/forward.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/elementwise.h"
#include "models/kernels.h"

namespace groundswell {
namespace {

std::span<const float> RowOf(std::span<const float> table, uint32_t row, size_t width) {
  return table.subspan(size_t{row} * width, width);
}

std::span<float> RowOf(std::vector<float>& matrix, size_t row, size_t width) {
  return std::span(matrix).subspan(row * width, width);
}

// softmax(log(count + 1) / tau). Counts are exact integers up to here.
void CountWeights(const MacgnnWeights& weights, std::span<const int64_t> counts,
                  std::span<float> out) {
  for (size_t k = 0; k < counts.size(); ++k) {
    const auto count = static_cast<size_t>(counts[k]);
    out[k] = count < weights.log_counts.size() ? weights.log_counts[count]
                                               : LogOfCount(counts[k]) * weights.inverse_tau;
  }
  Softmax(out);
}

// out = W x, W rows x x.size().
void Apply(std::span<const float> weight, std::span<const float> x, std::span<float> out) {
  for (size_t row = 0; row < out.size(); ++row) {
    out[row] = Dot(weight.subspan(row * x.size(), x.size()), x);
  }
}

// out = sum_k w_k table_k, table rows of out.size().
void WeightedSum(std::span<const float> w, std::span<const float> table, std::span<float> out) {
  std::fill(out.begin(), out.end(), 0.0f);
  for (size_t k = 0; k < w.size(); ++k) {
    AddScaled(table.subspan(k * out.size(), out.size()), w[k], out);
  }
}

// --- The user's side, once per request.
// -----------------------------------------------------------

// Keys and tables that attention by the user's embedding needs.
void PrepareAttention(const MacgnnWeights& weights, std::span<const float> user_embed,
                      MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.h));
  const MacgnnAggregator& aggregator = weights.user_aggregator;
  Apply(aggregator.key, user_embed, scratch.key);

  // s over the user macro nodes, folded into their values.
  std::span<float> s = std::span(scratch.node_attention).first(shape.user_nodes);
  for (size_t k = 0; k < shape.user_nodes; ++k) {
    s[k] = scale *
           Dot(RowOf(weights.user_node_queries, static_cast<uint32_t>(k), shape.h), scratch.key);
  }
  Softmax(s);
  for (size_t k = 0; k < shape.user_nodes; ++k) {
    const auto value = RowOf(weights.user_node_values, static_cast<uint32_t>(k), shape.h);
    const auto out = RowOf(scratch.node_table, k, shape.h);
    for (size_t i = 0; i < shape.h; ++i) out[i] = s[k] * value[i];
  }
  // (Q_u e) . (K_u key) = e . (Q_u' K_u key): one short vector scores every item's newest users.
  std::fill(scratch.ir_query.begin(), scratch.ir_query.end(), 0.0f);
  for (size_t row = 0; row < shape.h; ++row) {
    AddScaled(RowOf(aggregator.query, static_cast<uint32_t>(row), shape.d),
              scale * scratch.key[row], scratch.ir_query);
  }
}

// The value and the query of the newest item at place j.
void PrepareRecentItem(const MacgnnWeights& weights, size_t j, MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  const uint32_t row = scratch.recent_rows[j];
  const auto embed = RowOf(weights.item_embed, row, shape.d);
  Apply(weights.item_aggregator.query, embed, RowOf(scratch.recent_queries, j, shape.h));
  const auto value = RowOf(scratch.recent_values, j, shape.h);
  if (row == 0) {
    std::fill(value.begin(), value.end(), 0.0f);  // takes part in the softmax, not in the sum
  } else {
    Apply(weights.item_aggregator.value, embed, value);
  }
}

// Values and queries of the user's newest items, padded to L rows with row 0.
void PrepareRecentItems(const MacgnnWeights& weights, const UserFeatures& user,
                        MacgnnScratch& scratch) {
  std::fill(scratch.recent_rows.begin(), scratch.recent_rows.end(), 0u);
  std::copy(user.recent_items.begin(), user.recent_items.end(), scratch.recent_rows.begin());
  for (size_t j = 0; j < weights.shape.recent_len; ++j) PrepareRecentItem(weights, j, scratch);
}

// Without attention: [user_embed | u1 | u2 | ur].
void FillUserHalf(const MacgnnWeights& weights, const UserFeatures& user, MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  const std::span<float> half(scratch.user_half);
  const auto embed = RowOf(weights.user_embed, user.row, shape.d);
  std::copy(embed.begin(), embed.end(), half.begin());
  CountWeights(weights, user.one_hop, scratch.w_u1);
  CountWeights(weights, user.two_hop, scratch.w_u2);
  WeightedSum(scratch.w_u1, weights.item_node_values, half.subspan(shape.d, shape.h));
  WeightedSum(scratch.w_u2, weights.user_node_values, half.subspan(shape.d + shape.h, shape.h));
  // V is linear: the newest items' embeddings are added up first.
  const std::span<float> sum = std::span(scratch.neighbour_sum).first(shape.d);
  std::fill(sum.begin(), sum.end(), 0.0f);
  for (const uint32_t row : user.recent_items) {
    if (row > 0) AddScaled(RowOf(weights.item_embed, row, shape.d), 1.0f, sum);
  }
  Apply(weights.item_aggregator.value, sum, half.subspan(shape.d + 2 * shape.h, shape.h));
}

// --- The candidates' side, a block at a time.
// -----------------------------------------------------

// ur of the candidates whose keys are there.
void AttendToRecentItems(const MacgnnWeights& weights, size_t n, MutableMatrix ur,
                         MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.h));
  MultiplyTransposed({scratch.keys.data(), shape.h}, {scratch.recent_queries.data(), shape.h},
                     {scratch.recent_attention.data(), shape.recent_len}, n, shape.recent_len,
                     shape.h, false);
  for (size_t row = 0; row < n; ++row) {
    const auto s = RowOf(scratch.recent_attention, row, shape.recent_len);
    for (float& value : s) value *= scale;
    Softmax(s);
  }
  Multiply({scratch.recent_attention.data(), shape.recent_len},
           {scratch.recent_values.data(), shape.h}, ur, n, shape.h, shape.recent_len);
}

// With attention: u1 and ur, which depend on the candidate; fills the user's half of every row.
void FillUserHalves(const MacgnnWeights& weights, size_t n, MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  float* const concat = scratch.concat.data();
  const size_t stride = shape.concat();
  for (size_t row = 0; row < n; ++row) {
    std::copy(scratch.user_half.begin(), scratch.user_half.end(), concat + row * stride);
    const auto s = RowOf(scratch.node_attention, row, shape.item_nodes);
    const auto w = RowOf(scratch.node_weights, row, shape.item_nodes);
    for (size_t k = 0; k < s.size(); ++k) w[k] = s[k] * scratch.w_u1[k];
  }
  Multiply({scratch.node_weights.data(), shape.item_nodes},
           {weights.item_node_values.data(), shape.h}, {concat + shape.d, stride}, n, shape.h,
           shape.item_nodes);
  AttendToRecentItems(weights, n, {concat + shape.d + 2 * shape.h, stride}, scratch);
}

// sum_j [id_j > 0] s_j user_embed_j of one candidate's newest users.
void SumRecentUsers(const MacgnnWeights& weights, std::span<const uint32_t> recent,
                    const MacgnnScratch& scratch, std::span<float> s, std::span<float> sum) {
  const size_t d = weights.shape.d;
  const bool attends = weights.attention == MacgnnAttention::kNeighbours;
  if (attends) {
    for (size_t j = 0; j < recent.size(); ++j) {
      s[j] = Dot(RowOf(weights.user_embed, recent[j], d), scratch.ir_query);
    }
    Softmax(s);
  }
  std::fill(sum.begin(), sum.end(), 0.0f);
  for (size_t j = 0; j < recent.size(); ++j) {
    if (recent[j] > 0) {
      AddScaled(RowOf(weights.user_embed, recent[j], d), attends ? s[j] : 1.0f, sum);
    }
  }
}

// item_embed of every row; the other parts of the item's half come after it.
void FillItemEmbeddings(const MacgnnWeights& weights, const ItemFeatures& items,
                        MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  for (size_t row = 0; row < items.rows.size(); ++row) {
    const auto embed = RowOf(weights.item_embed, items.rows[row], shape.d);
    std::copy(embed.begin(), embed.end(),
              scratch.concat.data() + row * shape.concat() + shape.half());
  }
}

// K_i item_embed of the candidates, and by it s over the item macro nodes, shared by u1 and i2.
void AttendToItemNodes(const MacgnnWeights& weights, size_t n, MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.h));
  MultiplyTransposed({scratch.concat.data() + shape.half(), shape.concat()},
                     {weights.item_aggregator.key.data(), shape.d}, {scratch.keys.data(), shape.h},
                     n, shape.h, shape.d, false);
  MultiplyTransposed({scratch.keys.data(), shape.h}, {weights.item_node_queries.data(), shape.h},
                     {scratch.node_attention.data(), shape.item_nodes}, n, shape.item_nodes,
                     shape.h, false);
  for (size_t row = 0; row < n; ++row) {
    const auto s = RowOf(scratch.node_attention, row, shape.item_nodes);
    for (float& value : s) value *= scale;
    Softmax(s);
  }
}

// All that is made of the candidates alone: item_embed, i2, w_i1, the newest users' rows; and with
// attention keys and s.
void FillItemSide(const MacgnnWeights& weights, const ItemFeatures& items, MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  const size_t n = items.rows.size();
  const size_t p = shape.user_nodes;
  const size_t q = shape.item_nodes;
  const bool attends = weights.attention == MacgnnAttention::kNeighbours;
  FillItemEmbeddings(weights, items, scratch);
  if (attends) AttendToItemNodes(weights, n, scratch);
  for (size_t row = 0; row < n; ++row) {
    CountWeights(weights, items.one_hop.subspan(row * p, p), RowOf(scratch.w_i1, row, p));
    CountWeights(weights, items.two_hop.subspan(row * q, q), RowOf(scratch.w_i2, row, q));
    if (!attends) continue;
    const auto s = RowOf(scratch.node_attention, row, q);
    const auto w = RowOf(scratch.node_weights, row, q);
    const auto w_i2 = RowOf(scratch.w_i2, row, q);
    for (size_t k = 0; k < q; ++k) w[k] = s[k] * w_i2[k];
  }
  std::copy(items.recent_users.begin(), items.recent_users.end(), scratch.recent_users.begin());
  const float* i2_weights = attends ? scratch.node_weights.data() : scratch.w_i2.data();
  Multiply({i2_weights, q}, {weights.item_node_values.data(), shape.h},
           {scratch.concat.data() + shape.half() + shape.d + shape.h, shape.concat()}, n, shape.h,
           q);
}

// i1 and ir, which with attention depend on the user.
void FillUserAggregates(const MacgnnWeights& weights, size_t n, MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  const bool attends = weights.attention == MacgnnAttention::kNeighbours;
  for (size_t row = 0; row < n; ++row) {
    SumRecentUsers(
        weights, std::span(scratch.recent_users).subspan(row * shape.recent_len, shape.recent_len),
        scratch, RowOf(scratch.recent_attention, row, shape.recent_len),
        RowOf(scratch.neighbour_sum, row, shape.d));
  }
  float* const half = scratch.concat.data() + shape.half();
  const size_t stride = shape.concat();
  const float* node_table = attends ? scratch.node_table.data() : weights.user_node_values.data();
  Multiply({scratch.w_i1.data(), shape.user_nodes}, {node_table, shape.h}, {half + shape.d, stride},
           n, shape.h, shape.user_nodes);
  MultiplyTransposed({scratch.neighbour_sum.data(), shape.d},
                     {weights.user_aggregator.value.data(), shape.d},
                     {half + shape.d + 2 * shape.h, stride}, n, shape.h, shape.d, false);
}

// Calls `visit` with every part of FillItemSide's result for one candidate, in the order in which
// they are kept.
template <typename Visit>
void VisitItemSide(const MacgnnShape& shape, size_t row, MacgnnScratch& scratch, Visit visit) {
  float* const half = scratch.concat.data() + row * shape.concat() + shape.half();
  visit(half, shape.d);
  visit(half + shape.d + shape.h, shape.h);
  visit(RowOf(scratch.keys, row, shape.h).data(), shape.h);
  visit(RowOf(scratch.node_attention, row, shape.item_nodes).data(), shape.item_nodes);
  visit(RowOf(scratch.w_i1, row, shape.user_nodes).data(), shape.user_nodes);
  visit(scratch.recent_users.data() + row * shape.recent_len, shape.recent_len);
}

// W0 x + b0 with attention.
void FirstLayer(const MacgnnWeights& weights, size_t n, MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  for (size_t row = 0; row < n; ++row) {
    std::copy(weights.bias0.begin(), weights.bias0.end(), scratch.fc0.data() + row * shape.hidden1);
  }
  Multiply({scratch.concat.data(), shape.concat()}, {weights.mlp0_transposed.data(), shape.hidden1},
           {scratch.fc0.data(), shape.hidden1}, n, shape.hidden1, shape.concat(),
           /*accumulate=*/true);
}

// W0 of the items' half, + b0.
void FirstLayerOfItems(const MacgnnWeights& weights, size_t n, MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  for (size_t row = 0; row < n; ++row) {
    std::copy(weights.bias0.begin(), weights.bias0.end(),
              scratch.item_fc0.data() + row * shape.hidden1);
  }
  Multiply({scratch.concat.data() + shape.half(), shape.concat()},
           {weights.mlp0_transposed.data() + shape.half() * shape.hidden1, shape.hidden1},
           {scratch.item_fc0.data(), shape.hidden1}, n, shape.hidden1, shape.half(),
           /*accumulate=*/true);
}

// Without attention: the user's half of the first layer to that of every candidate.
void AddHalves(const MacgnnWeights& weights, std::span<const float> of_items,
               MacgnnScratch& scratch) {
  const size_t width = weights.shape.hidden1;
  for (size_t at = 0; at < of_items.size(); at += width) {
    for (size_t i = 0; i < width; ++i) {
      scratch.fc0[at + i] = scratch.user_fc0[i] + of_items[at + i];
    }
  }
}

// From the first layer to the logits.
void OtherLayers(const MacgnnWeights& weights, size_t n, MacgnnScratch& scratch,
                 std::span<float> logits) {
  const MacgnnShape& shape = weights.shape;
  for (size_t row = 0; row < n; ++row) {
    Dice(RowOf(scratch.fc0, row, shape.hidden1), weights.dice1.mean, weights.dice1.inverse_std,
         weights.dice1.alpha, RowOf(scratch.dice1, row, shape.hidden1));
    std::copy(weights.bias2.begin(), weights.bias2.end(), scratch.fc2.data() + row * shape.hidden2);
  }
  Multiply({scratch.dice1.data(), shape.hidden1}, {weights.mlp2_transposed.data(), shape.hidden2},
           {scratch.fc2.data(), shape.hidden2}, n, shape.hidden2, shape.hidden1,
           /*accumulate=*/true);
  for (size_t row = 0; row < n; ++row) {
    const auto dice3 = RowOf(scratch.dice3, row, shape.hidden2);
    Dice(RowOf(scratch.fc2, row, shape.hidden2), weights.dice3.mean, weights.dice3.inverse_std,
         weights.dice3.alpha, dice3);
    logits[row] = weights.bias4 + Dot(weights.mlp4, dice3);
  }
}

// Without attention: the item's half of the first layer.
void MakeItemHalves(const MacgnnWeights& weights, const ItemFeatures& items,
                    MacgnnScratch& scratch) {
  FillItemSide(weights, items, scratch);
  FillUserAggregates(weights, items.rows.size(), scratch);
  FirstLayerOfItems(weights, items.rows.size(), scratch);
}

// With attention, of candidates whose side is there.
void ScorePairs(const MacgnnWeights& weights, size_t n, MacgnnScratch& scratch,
                std::span<float> logits) {
  FillUserHalves(weights, n, scratch);
  FillUserAggregates(weights, n, scratch);
  FirstLayer(weights, n, scratch);
  OtherLayers(weights, n, scratch, logits);
}

// --- Variants of the user.
// -----------------------------------------------------

// Values and queries of the newest items that are not those at the same place before; false when
// none is. A cause taken out of a history after its neighbour changes one place.
bool ChangeRecentItems(const MacgnnWeights& weights, const UserFeatures& user,
                       MacgnnScratch& scratch) {
  bool changed = false;
  for (size_t j = 0; j < weights.shape.recent_len; ++j) {
    const uint32_t row = j < user.recent_items.size() ? user.recent_items[j] : 0;
    if (scratch.recent_rows[j] == row) continue;
    scratch.recent_rows[j] = row;
    PrepareRecentItem(weights, j, scratch);
    changed = true;
  }
  return changed;
}

// Without attention: one user's half per variant, to which the items' half of the first layer is
// added.
void FirstLayerOfVariants(const MacgnnWeights& weights, std::span<const UserFeatures> variants,
                          size_t n, MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  for (size_t v = 0; v < variants.size(); ++v) {
    FillUserHalf(weights, variants[v], scratch);
    std::copy(scratch.user_half.begin(), scratch.user_half.end(),
              scratch.concat.data() + v * shape.concat());
  }
  Multiply({scratch.concat.data(), shape.concat()}, {weights.mlp0_transposed.data(), shape.hidden1},
           {scratch.variant_fc0.data(), shape.hidden1}, variants.size(), shape.hidden1,
           shape.half());
  for (size_t row = 0; row < variants.size() * n; ++row) {
    const float* of_user = scratch.variant_fc0.data() + row / n * shape.hidden1;
    const float* of_item = scratch.item_fc0.data() + row % n * shape.hidden1;
    float* out = scratch.fc0.data() + row * shape.hidden1;
    for (size_t i = 0; i < shape.hidden1; ++i) out[i] = of_user[i] + of_item[i];
  }
}

// With attention every pair of variant and candidate has its own user's half; keys and attention of
// the candidates over the item macro nodes are theirs alone.
void FirstLayerOfPairs(const MacgnnWeights& weights, std::span<const UserFeatures> variants,
                       size_t n, MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  const std::span<const float> half(scratch.user_half);
  for (size_t v = 0; v < variants.size(); ++v) {
    CountWeights(weights, variants[v].one_hop, scratch.w_u1);
    CountWeights(weights, variants[v].two_hop, scratch.w_u2);
    WeightedSum(scratch.w_u2, scratch.node_table,
                std::span(scratch.user_half).subspan(shape.d + shape.h, shape.h));
    if (ChangeRecentItems(weights, variants[v], scratch)) {
      AttendToRecentItems(weights, n, {scratch.variant_ur.data(), shape.h}, scratch);
    }
    for (size_t i = 0; i < n; ++i) {
      const auto s = RowOf(scratch.node_attention, i, shape.item_nodes);
      const auto w = RowOf(scratch.node_weights, v * n + i, shape.item_nodes);
      for (size_t k = 0; k < s.size(); ++k) w[k] = s[k] * scratch.w_u1[k];
      const auto ur = RowOf(scratch.variant_ur, i, shape.h);
      float* const out = scratch.concat.data() + (v * n + i) * shape.concat();
      std::copy(half.begin(), half.end(), out);
      std::copy(ur.begin(), ur.end(), out + shape.d + 2 * shape.h);
      const auto of_item = RowOf(scratch.item_fc0, i, shape.hidden1);
      std::copy(of_item.begin(), of_item.end(), scratch.fc0.data() + (v * n + i) * shape.hidden1);
    }
  }
  const size_t rows = variants.size() * n;
  Multiply({scratch.node_weights.data(), shape.item_nodes},
           {weights.item_node_values.data(), shape.h},
           {scratch.concat.data() + shape.d, shape.concat()}, rows, shape.h, shape.item_nodes);
  Multiply({scratch.concat.data(), shape.concat()}, {weights.mlp0_transposed.data(), shape.hidden1},
           {scratch.fc0.data(), shape.hidden1}, rows, shape.hidden1, shape.half(),
           /*accumulate=*/true);
}

}  // namespace

MacgnnScratch::MacgnnScratch(const MacgnnShape& shape, size_t block)
    : block_size(block),
      w_u1(shape.item_nodes),
      w_u2(shape.user_nodes),
      user_half(shape.half()),
      user_fc0(shape.hidden1),
      key(shape.h),
      node_table(PaddedRows(shape.user_nodes) * shape.h),
      ir_query(shape.d),
      recent_values(PaddedRows(shape.recent_len) * shape.h),
      recent_queries(PaddedRows(shape.recent_len) * shape.h),
      recent_rows(shape.recent_len),
      w_i1(PaddedRows(block) * shape.user_nodes),
      w_i2(PaddedRows(block) * shape.item_nodes),
      concat(PaddedRows(block) * shape.concat()),
      keys(PaddedRows(block) * shape.h),
      node_attention(std::max(PaddedRows(block) * shape.item_nodes, shape.user_nodes)),
      node_weights(PaddedRows(block) * shape.item_nodes),
      recent_attention(PaddedRows(block) * shape.recent_len),
      recent_users(block * shape.recent_len),
      neighbour_sum(PaddedRows(block) * shape.d),
      fc0(PaddedRows(block) * shape.hidden1),
      dice1(PaddedRows(block) * shape.hidden1),
      fc2(PaddedRows(block) * shape.hidden2),
      dice3(PaddedRows(block) * shape.hidden2),
      item_fc0(PaddedRows(block) * shape.hidden1),
      variant_fc0(PaddedRows(block) * shape.hidden1),
      variant_ur(PaddedRows(block) * shape.h) {}

void MacgnnPrepareUser(const MacgnnWeights& weights, const UserFeatures& user,
                       MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  const std::span<float> half(scratch.user_half);
  if (weights.attention == MacgnnAttention::kNeighbours) {
    CountWeights(weights, user.one_hop, scratch.w_u1);
    CountWeights(weights, user.two_hop, scratch.w_u2);
    const auto embed = RowOf(weights.user_embed, user.row, shape.d);
    std::copy(embed.begin(), embed.end(), half.begin());
    PrepareAttention(weights, embed, scratch);
    PrepareRecentItems(weights, user, scratch);
    WeightedSum(scratch.w_u2, scratch.node_table, half.subspan(shape.d + shape.h, shape.h));
    return;
  }
  FillUserHalf(weights, user, scratch);
  for (size_t out = 0; out < shape.hidden1; ++out) {
    scratch.user_fc0[out] = Dot(weights.mlp0.subspan(out * shape.concat(), shape.half()), half);
  }
}

void MacgnnScoreItems(const MacgnnWeights& weights, const ItemFeatures& items,
                      MacgnnScratch& scratch, std::span<float> logits) {
  const size_t n = items.rows.size();
  if (weights.attention == MacgnnAttention::kNone) {
    MakeItemHalves(weights, items, scratch);
    AddHalves(weights, std::span(scratch.item_fc0).first(n * weights.shape.hidden1), scratch);
    OtherLayers(weights, n, scratch, logits);
  } else {
    FillItemSide(weights, items, scratch);
    ScorePairs(weights, n, scratch, logits);
  }
}

size_t MacgnnPreparedWidth(const MacgnnWeights& weights) {
  const MacgnnShape& shape = weights.shape;
  return weights.attention == MacgnnAttention::kNone
             ? shape.hidden1
             : shape.d + 2 * shape.h + shape.item_nodes + shape.user_nodes + shape.recent_len;
}

void MacgnnPrepareItems(const MacgnnWeights& weights, const ItemFeatures& items,
                        MacgnnScratch& scratch, std::span<float> prepared) {
  if (weights.attention == MacgnnAttention::kNone) {
    MakeItemHalves(weights, items, scratch);
    std::copy_n(scratch.item_fc0.begin(), prepared.size(), prepared.begin());
    return;
  }
  FillItemSide(weights, items, scratch);
  float* to = prepared.data();
  for (size_t row = 0; row < items.rows.size(); ++row) {
    VisitItemSide(weights.shape, row, scratch, [&](const auto* part, size_t size) {
      std::memcpy(to, part, size * sizeof(float));
      to += size;
    });
  }
}

void MacgnnScorePrepared(const MacgnnWeights& weights, std::span<const float> prepared,
                         MacgnnScratch& scratch, std::span<float> logits) {
  if (weights.attention == MacgnnAttention::kNone) {
    AddHalves(weights, prepared, scratch);
    OtherLayers(weights, logits.size(), scratch, logits);
    return;
  }
  const float* from = prepared.data();
  for (size_t row = 0; row < logits.size(); ++row) {
    VisitItemSide(weights.shape, row, scratch, [&](auto* part, size_t size) {
      std::memcpy(part, from, size * sizeof(float));
      from += size;
    });
  }
  ScorePairs(weights, logits.size(), scratch, logits);
}

bool MacgnnScoreVariants(const MacgnnWeights& weights, std::span<const UserFeatures> variants,
                         const ItemFeatures& items, MacgnnScratch& scratch,
                         const std::function<bool()>& has_time, std::span<float> logits) {
  const size_t n = items.rows.size();
  if (variants.empty() || n == 0) return true;
  if (!has_time()) return false;
  const bool attends = weights.attention == MacgnnAttention::kNeighbours;
  if (attends) MacgnnPrepareUser(weights, variants[0], scratch);
  FillItemSide(weights, items, scratch);
  if (attends) {
    AttendToRecentItems(weights, n, {scratch.variant_ur.data(), weights.shape.h}, scratch);
  }
  FillUserAggregates(weights, n, scratch);
  FirstLayerOfItems(weights, n, scratch);

  const size_t at_once = scratch.block_size / n;
  for (size_t begin = 0; begin < variants.size(); begin += at_once) {
    if (!has_time()) return false;
    const auto part = variants.subspan(begin, std::min(at_once, variants.size() - begin));
    if (attends) {
      FirstLayerOfPairs(weights, part, n, scratch);
    } else {
      FirstLayerOfVariants(weights, part, n, scratch);
    }
    const size_t rows = part.size() * n;
    OtherLayers(weights, rows, scratch, logits.subspan(begin * n, rows));
  }
  return true;
}

}  // namespace groundswell
