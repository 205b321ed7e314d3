#include "models/macgnn/forward.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "models/math/elementwise.h"
#include "models/math/kernels.h"
#include "models/math/transcendental.h"

namespace groundswell {
namespace {

std::span<const float> RowOf(std::span<const float> table, size_t row, size_t width) {
  return table.subspan(row * width, width);
}

std::span<float> RowOf(std::vector<float>& matrix, size_t row, size_t width) {
  return std::span(matrix).subspan(row * width, width);
}

ConstMatrix MatrixOf(const std::vector<float>& matrix, size_t width) {
  return {matrix.data(), width};
}

bool Attends(const MacgnnWeights& weights) {
  return weights.attention == MacgnnAttention::kNeighbours;
}

// softmax(log(count + 1) / tau), row by row. Counts are exact integers up to here.
void CountWeights(const MacgnnWeights& weights, std::span<const int64_t> counts, size_t width,
                  std::span<float> out) {
  LogOfCounts(counts, weights.inverse_tau, out);
  SoftmaxOfRows(out.first(counts.size()), width);
}

// out = W x, W rows x x.size().
void Apply(std::span<const float> weight, std::span<const float> x, std::span<float> out) {
  for (size_t row = 0; row < out.size(); ++row) {
    out[row] = Dot(weight.subspan(row * x.size(), x.size()), x);
  }
}

// out_k = w_k table_k.
void ScaleRows(std::span<const float> w, std::span<const float> table, std::span<float> out) {
  const size_t width = table.size() / w.size();
  for (size_t k = 0; k < w.size(); ++k) {
    for (size_t i = 0; i < width; ++i) out[k * width + i] = w[k] * table[k * width + i];
  }
}

// out = sum_k w_k table_k, table rows of out.size().
void WeightedSum(std::span<const float> w, std::span<const float> table, std::span<float> out) {
  std::fill(out.begin(), out.end(), 0.0f);
  for (size_t k = 0; k < w.size(); ++k) AddScaled(RowOf(table, k, out.size()), w[k], out);
}

// --- The user's side, once per request.

// What attention by the user's embedding makes of the clusters and of newest users.
void PrepareAttention(const MacgnnWeights& weights, std::span<const float> user_embed,
                      MacgnnScratch& scratch) {
  const size_t d = weights.shape.d;
  Apply(weights.users.cluster_scores, user_embed, scratch.user_scores);
  Softmax(scratch.user_scores);
  ScaleRows(scratch.user_scores, weights.users.cluster_values, scratch.user_table);
  for (size_t row = 0; row < d; ++row) {
    scratch.ir_query[row / kLanes].values[row % kLanes] =
        Dot(RowOf(weights.users.score, row, d), user_embed);
  }
}

// The embeddings of the newest items, padded to L rows with row 0.
void ReadRecentItems(const MacgnnWeights& weights, const UserFeatures& user,
                     MacgnnScratch& scratch) {
  const size_t d = weights.shape.d;
  std::fill(scratch.recent_rows.begin(), scratch.recent_rows.end(), 0u);
  std::copy(user.recent_items.begin(), user.recent_items.end(), scratch.recent_rows.begin());
  for (size_t j = 0; j < scratch.recent_rows.size(); ++j) {
    const auto embed = RowOf(weights.item_embed, scratch.recent_rows[j], d);
    std::copy(embed.begin(), embed.end(), RowOf(scratch.recent_embed, j, d).begin());
  }
}

// Values and scores of the newest items. Padding takes part in the softmax, not in the sum.
void PrepareRecentItems(const MacgnnWeights& weights, MacgnnScratch& scratch) {
  const auto [d, h] = std::pair(weights.shape.d, weights.shape.h);
  const size_t l = weights.shape.recent_len;
  const ConstMatrix embed = MatrixOf(scratch.recent_embed, d);
  Multiply(embed, MatrixOf(weights.items.value, h), {scratch.recent_values.data(), h}, l, h, d);
  Multiply(embed, MatrixOf(weights.items.score, d), {scratch.recent_scores.data(), d}, l, d, d);
  for (size_t j = 0; j < l; ++j) {
    if (scratch.recent_rows[j] > 0) continue;
    const auto value = RowOf(scratch.recent_values, j, h);
    std::fill(value.begin(), value.end(), 0.0f);
  }
}

// [user_embed | u1 | u2 | ur] with the parts that depend on the user alone; the others are 0.
void FillUserHalf(const MacgnnWeights& weights, const UserFeatures& user, MacgnnScratch& scratch) {
  const auto [d, h] = std::pair(weights.shape.d, weights.shape.h);
  const std::span<float> half(scratch.user_half);
  const auto embed = RowOf(weights.user_embed, user.row, d);
  std::copy(embed.begin(), embed.end(), half.begin());
  CountWeights(weights, user.one_hop, user.one_hop.size(), scratch.w_u1);
  CountWeights(weights, user.two_hop, user.two_hop.size(), scratch.w_u2);
  if (Attends(weights)) {
    ScaleRows(scratch.w_u1, weights.items.cluster_values, scratch.item_table);
    WeightedSum(scratch.w_u2, scratch.user_table, half.subspan(d + h, h));
    return;
  }
  WeightedSum(scratch.w_u1, weights.items.cluster_values, half.subspan(d, h));
  WeightedSum(scratch.w_u2, weights.users.cluster_values, half.subspan(d + h, h));
  // V is linear: the newest items' embeddings are added up first.
  std::fill(scratch.recent_sum.begin(), scratch.recent_sum.end(), 0.0f);
  for (const uint32_t row : user.recent_items) {
    if (row > 0) AddScaled(RowOf(weights.item_embed, row, d), 1.0f, scratch.recent_sum);
  }
  WeightedSum(scratch.recent_sum, weights.items.value, half.subspan(d + 2 * h, h));
}

// --- The candidates' side, a block at a time.

// s over the item clusters.
void AttendToItemClusters(const MacgnnWeights& weights, size_t n, MacgnnScratch& scratch) {
  const auto [d, q] = std::pair(weights.shape.d, weights.shape.item_clusters);
  MultiplyTransposed(MatrixOf(scratch.item_input, weights.item_layer.in),
                     MatrixOf(weights.items.cluster_scores, d),
                     {scratch.cluster_attention.data(), q}, n, q, d, false);
  SoftmaxOfRows(std::span(scratch.cluster_attention).first(n * q), q);
}

// ur of the candidates whose embeddings are there, rows of `ur`.
void AttendToRecentItems(const MacgnnWeights& weights, size_t n, MutableMatrix ur,
                         MacgnnScratch& scratch) {
  const auto [d, h] = std::pair(weights.shape.d, weights.shape.h);
  const size_t l = weights.shape.recent_len;
  MultiplyTransposed(MatrixOf(scratch.item_input, weights.item_layer.in),
                     MatrixOf(scratch.recent_scores, d), {scratch.recent_attention.data(), l}, n, l,
                     d, false);
  SoftmaxOfRows(std::span(scratch.recent_attention).first(n * l), l);
  Multiply(MatrixOf(scratch.recent_attention, l), MatrixOf(scratch.recent_values, h), ur, n, h, l);
}

// sum_j [id_j > 0] s_j user_embed_j of every candidate's newest users, rows of `sums`.
void SumRecentUsers(const MacgnnWeights& weights, size_t n, MutableMatrix sums,
                    MacgnnScratch& scratch) {
  const size_t l = weights.shape.recent_len;
  const std::span<float> s = std::span(scratch.ir_attention).first(n * l);
  const std::span<const uint32_t> users(scratch.recent_users);
  if (Attends(weights)) {
    DotOfRows(weights.user_rows, users.first(n * l), scratch.ir_query, s);
    SoftmaxOfRows(s, l);
  } else {
    std::fill(s.begin(), s.end(), 1.0f);
  }
  // Behind the softmax: padding has its share of that, as when the model was trained.
  for (size_t i = 0; i < s.size(); ++i) s[i] = users[i] > 0 ? s[i] : 0.0f;
  for (size_t row = 0; row < n; ++row) {
    SumOfRows(weights.user_rows, users.subspan(row * l, l), s.subspan(row * l, l),
              scratch.neighbour_sum);
    std::memcpy(sums.data + row * sums.stride, scratch.neighbour_sum.data(),
                weights.shape.d * sizeof(float));
  }
}

// i1 of every candidate, rows of `out`, by a table of the user clusters' values.
void SumUserClusters(const MacgnnWeights& weights, const std::vector<float>& table, size_t n,
                     MutableMatrix out, const MacgnnScratch& scratch) {
  const auto [p, h] = std::pair(weights.shape.user_clusters, weights.shape.h);
  Multiply(MatrixOf(scratch.w_i1, p), MatrixOf(table, h), out, n, h, p);
}

// With attention: i1 and the sum that V_u makes ir, rows of `out`.
void FillUserAggregates(const MacgnnWeights& weights, size_t n, MutableMatrix out,
                        MacgnnScratch& scratch) {
  SumUserClusters(weights, scratch.user_table, n, out, scratch);
  SumRecentUsers(weights, n, {out.data + weights.shape.h, out.stride}, scratch);
}

// Without attention: i1 and ir.
void FillItemAggregates(const MacgnnWeights& weights, size_t n, MutableMatrix out,
                        MacgnnScratch& scratch) {
  const auto [d, h] = std::pair(weights.shape.d, weights.shape.h);
  SumUserClusters(weights, weights.users.cluster_values, n, out, scratch);
  SumRecentUsers(weights, n, {scratch.user_sums.data(), d}, scratch);
  Multiply(MatrixOf(scratch.user_sums, d), MatrixOf(weights.users.value, h),
           {out.data + h, out.stride}, n, h, d);
}

// All that is made of the candidates alone but their part of the first layer.
void FillItemSide(const MacgnnWeights& weights, const ItemFeatures& items, MacgnnScratch& scratch) {
  const auto [d, h] = std::pair(weights.shape.d, weights.shape.h);
  const size_t q = weights.shape.item_clusters;
  const size_t n = items.rows.size();
  const size_t width = weights.item_layer.in;
  for (size_t row = 0; row < n; ++row) {
    const auto embed = RowOf(weights.item_embed, items.rows[row], d);
    std::copy(embed.begin(), embed.end(), scratch.item_input.begin() + row * width);
  }
  CountWeights(weights, items.one_hop, weights.shape.user_clusters, scratch.w_i1);
  CountWeights(weights, items.two_hop, q, scratch.w_i2);
  std::copy(items.recent_users.begin(), items.recent_users.end(), scratch.recent_users.begin());
  const std::vector<float>* i2_weights = &scratch.w_i2;
  if (Attends(weights)) {
    AttendToItemClusters(weights, n, scratch);
    for (size_t i = 0; i < n * q; ++i) {
      scratch.cluster_weights[i] = scratch.cluster_attention[i] * scratch.w_i2[i];
    }
    i2_weights = &scratch.cluster_weights;
  }
  float* const input = scratch.item_input.data();
  Multiply(MatrixOf(*i2_weights, q), MatrixOf(weights.items.cluster_values, h), {input + d, width},
           n, h, q);
  if (!Attends(weights)) FillItemAggregates(weights, n, {input + d + h, width}, scratch);
}

// FillItemSide and the item's part of the first layer.
void PrepareItemSide(const MacgnnWeights& weights, const ItemFeatures& items,
                     MacgnnScratch& scratch) {
  FillItemSide(weights, items, scratch);
  MultiplyByWeight(MatrixOf(scratch.item_input, weights.item_layer.in), weights.item_layer,
                   items.rows.size(), scratch.item_fc0.data(), scratch.products);
}

// Calls `visit` with every part of FillItemSide's result that the pairs' part of the first layer
// needs, for one candidate, in the order in which they are kept.
template <typename Visit>
void VisitItemSide(const MacgnnWeights& weights, size_t row, MacgnnScratch& scratch, Visit visit) {
  const MacgnnShape& shape = weights.shape;
  visit(scratch.item_input.data() + row * weights.item_layer.in, shape.d);
  visit(RowOf(scratch.cluster_attention, row, shape.item_clusters).data(), shape.item_clusters);
  visit(RowOf(scratch.w_i1, row, shape.user_clusters).data(), shape.user_clusters);
  visit(scratch.recent_users.data() + row * shape.recent_len, shape.recent_len);
}

// With attention: the first layer of [i1 | ir | u1 | ur], of candidates whose side is there.
void FirstLayerOfPairs(const MacgnnWeights& weights, size_t n, MacgnnScratch& scratch) {
  const auto [d, h] = std::pair(weights.shape.d, weights.shape.h);
  const size_t q = weights.shape.item_clusters;
  const size_t width = weights.pair_layer.in;
  // [i1 | ir | u1 | ur], where ir is still the sum of embeddings: d wide, and not h.
  float* const input = scratch.pair_input.data();
  FillUserAggregates(weights, n, {input, width}, scratch);
  Multiply(MatrixOf(scratch.cluster_attention, q), MatrixOf(scratch.item_table, h),
           {input + h + d, width}, n, h, q);
  AttendToRecentItems(weights, n, {input + 2 * h + d, width}, scratch);
  MultiplyByWeight({input, width}, weights.pair_layer, n, scratch.fc0.data(), scratch.products);
}

// The first Dice, `of_items` being the items' part of the first layer, rows `stride` apart; with
// attention the pairs' part is in fc0.
void FirstDice(const MacgnnWeights& weights, const float* of_items, size_t stride, size_t n,
               MacgnnScratch& scratch) {
  const size_t width = weights.shape.hidden1;
  for (size_t row = 0; row < n; ++row) {
    const std::span<const float> item(of_items + row * stride, width);
    const auto z = RowOf(scratch.fc0, row, width);
    const auto out = RowOf(scratch.dice1, row, width);
    if (Attends(weights)) {
      AddDice(z, item, scratch.user_fc0, weights.dice1.layer(), z, out);
    } else {
      AddDice(item, scratch.user_fc0, weights.dice1.layer(), z, out);
    }
  }
}

// From there to the logits.
void OtherLayers(const MacgnnWeights& weights, MacgnnScratch& scratch, std::span<float> logits) {
  const size_t width = weights.shape.hidden2;
  MultiplyByWeight(MatrixOf(scratch.dice1, weights.shape.hidden1), weights.second_layer,
                   logits.size(), scratch.fc2.data(), scratch.products);
  for (size_t row = 0; row < logits.size(); ++row) {
    const auto z = RowOf(scratch.fc2, row, width);
    const auto out = RowOf(scratch.dice3, row, width);
    AddDice(z, weights.bias2, weights.dice3.layer(), z, out);
    logits[row] = weights.bias4 + Dot(weights.mlp4, out);
  }
}

// What ScoreItems and ScorePrepared share.
void ScoreBlock(const MacgnnWeights& weights, const float* of_items, size_t stride,
                MacgnnScratch& scratch, std::span<float> logits) {
  if (Attends(weights)) FirstLayerOfPairs(weights, logits.size(), scratch);
  FirstDice(weights, of_items, stride, logits.size(), scratch);
  OtherLayers(weights, scratch, logits);
}

// --- Variants of the user.

// Embeddings of the newest items, where another is at the same place than before; false when none
// is. A cause taken out of a history after its neighbour changes one place.
bool ChangeRecentItems(const MacgnnWeights& weights, const UserFeatures& user,
                       MacgnnScratch& scratch) {
  bool changed = false;
  for (size_t j = 0; j < weights.shape.recent_len; ++j) {
    const uint32_t row = j < user.recent_items.size() ? user.recent_items[j] : 0;
    if (scratch.recent_rows[j] != row) changed = true;
  }
  if (!changed) return false;
  ReadRecentItems(weights, user, scratch);
  PrepareRecentItems(weights, scratch);
  return true;
}

// [u1 | ur] of every candidate for one variant, into the rows of pair_input from `begin` on: u1's
// weights are in cluster_weights' rows until all variants have theirs.
void FillPairsOfVariant(const MacgnnWeights& weights, const UserFeatures& variant, size_t begin,
                        size_t n, MacgnnScratch& scratch) {
  const size_t h = weights.shape.h;
  const size_t q = weights.shape.item_clusters;
  if (ChangeRecentItems(weights, variant, scratch)) {
    AttendToRecentItems(weights, n, {scratch.variant_ur.data(), h}, scratch);
  }
  for (size_t i = 0; i < n; ++i) {
    const auto s = RowOf(scratch.cluster_attention, i, q);
    const auto w = RowOf(scratch.cluster_weights, begin + i, q);
    for (size_t k = 0; k < q; ++k) w[k] = s[k] * scratch.w_u1[k];
    const auto ur = RowOf(scratch.variant_ur, i, h);
    std::copy(ur.begin(), ur.end(), scratch.pair_input.begin() + (begin + i) * 2 * h + h);
  }
}

// The first layer of all pairs of variants and candidates, less b0: the variants' halves, to which
// the items' part is added, and with attention [u1 | ur] of every pair.
void FirstLayerOfVariants(const MacgnnWeights& weights, std::span<const UserFeatures> variants,
                          size_t n, MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  const auto [h, hidden1] = std::pair(shape.h, shape.hidden1);
  const size_t rows = variants.size() * n;
  // The user himself goes this way too, and not by MacgnnPrepareUser, whose sums are rounded
  // otherwise: an explanation is a difference of two logits.
  for (size_t v = 0; v < variants.size(); ++v) {
    FillUserHalf(weights, variants[v], scratch);
    std::copy(scratch.user_half.begin(), scratch.user_half.end(),
              RowOf(scratch.variant_half, v, shape.half()).begin());
    if (Attends(weights)) FillPairsOfVariant(weights, variants[v], v * n, n, scratch);
  }
  Multiply(MatrixOf(scratch.variant_half, shape.half()), MatrixOf(weights.user_layer, hidden1),
           {scratch.variant_fc0.data(), hidden1}, variants.size(), hidden1, shape.half());
  for (size_t row = 0; row < rows; ++row) {
    const auto of_user = RowOf(scratch.variant_fc0, row / n, hidden1);
    const auto of_item = RowOf(scratch.item_fc0, row % n, hidden1);
    const auto out = RowOf(scratch.fc0, row, hidden1);
    for (size_t i = 0; i < hidden1; ++i) out[i] = of_user[i] + of_item[i];
  }
  if (!Attends(weights)) return;
  Multiply(MatrixOf(scratch.cluster_weights, shape.item_clusters),
           MatrixOf(weights.items.cluster_values, h), {scratch.pair_input.data(), 2 * h}, rows, h,
           shape.item_clusters);
  // The pair layer's inputs are [i1 | ir | u1 | ur]: the first two are in item_fc0 already, since
  // they are the same for all variants.
  const float* of_u1 = weights.pair_layer.values.data() + (h + shape.d) * hidden1;
  Multiply(MatrixOf(scratch.pair_input, 2 * h), {of_u1, hidden1}, {scratch.fc0.data(), hidden1},
           rows, hidden1, 2 * h, /*accumulate=*/true);
}

// What all variants share: the items' part of the first layer, with attention also [i1 | ir], which
// depend on the user's row alone, and ur of the user himself.
void PrepareVariants(const MacgnnWeights& weights, const UserFeatures& user,
                     const ItemFeatures& items, MacgnnScratch& scratch) {
  const auto [h, hidden1] = std::pair(weights.shape.h, weights.shape.hidden1);
  const size_t n = items.rows.size();
  PrepareItemSide(weights, items, scratch);
  if (!Attends(weights)) return;
  MacgnnPrepareUser(weights, user, scratch);
  AttendToRecentItems(weights, n, {scratch.variant_ur.data(), h}, scratch);
  const size_t width = h + weights.shape.d;
  FillUserAggregates(weights, n, {scratch.pair_input.data(), width}, scratch);
  Multiply(MatrixOf(scratch.pair_input, width), MatrixOf(weights.pair_layer.values, hidden1),
           {scratch.item_fc0.data(), hidden1}, n, hidden1, width, /*accumulate=*/true);
}

}  // namespace

MacgnnScratch::MacgnnScratch(const MacgnnWeights& weights, size_t block)
    : block_size(block),
      w_u1(weights.shape.item_clusters),
      w_u2(weights.shape.user_clusters),
      user_half(weights.shape.half()),
      user_fc0(weights.shape.hidden1),
      user_scores(weights.shape.user_clusters),
      user_table(weights.shape.user_clusters * weights.shape.h),
      item_table(weights.shape.item_clusters * weights.shape.h),
      ir_query(LanesOf(weights.shape.d)),
      recent_rows(weights.shape.recent_len),
      recent_sum(weights.shape.d),
      recent_embed(PaddedRows(weights.shape.recent_len) * weights.shape.d),
      recent_values(PaddedRows(weights.shape.recent_len) * weights.shape.h),
      recent_scores(PaddedRows(weights.shape.recent_len) * weights.shape.d),
      w_i1(PaddedRows(block) * weights.shape.user_clusters),
      w_i2(PaddedRows(block) * weights.shape.item_clusters),
      cluster_attention(PaddedRows(block) * weights.shape.item_clusters),
      cluster_weights(PaddedRows(block) * weights.shape.item_clusters),
      recent_attention(PaddedRows(block) * weights.shape.recent_len),
      ir_attention(block * weights.shape.recent_len),
      recent_users(block * weights.shape.recent_len),
      neighbour_sum(LanesOf(weights.shape.d)),
      user_sums(PaddedRows(block) * weights.shape.d),
      item_input(PaddedRows(block) * weights.item_layer.in),
      item_fc0(PaddedRows(block) * weights.shape.hidden1),
      pair_input(PaddedRows(block) * weights.pair_layer.in),
      fc0(PaddedRows(block) * weights.shape.hidden1),
      dice1(PaddedRows(block) * weights.shape.hidden1),
      fc2(PaddedRows(block) * weights.shape.hidden2),
      dice3(PaddedRows(block) * weights.shape.hidden2),
      variant_half(PaddedRows(block) * weights.shape.half()),
      variant_fc0(PaddedRows(block) * weights.shape.hidden1),
      variant_ur(PaddedRows(block) * weights.shape.h) {}

void MacgnnPrepareUser(const MacgnnWeights& weights, const UserFeatures& user,
                       MacgnnScratch& scratch) {
  const MacgnnShape& shape = weights.shape;
  if (Attends(weights)) {
    PrepareAttention(weights, RowOf(weights.user_embed, user.row, shape.d), scratch);
    ReadRecentItems(weights, user, scratch);
    PrepareRecentItems(weights, scratch);
  }
  FillUserHalf(weights, user, scratch);
  // By rows of W0 as the file has it: of one user a product by its transpose would read as much and
  // be padded to more rows.
  for (size_t out = 0; out < shape.hidden1; ++out) {
    scratch.user_fc0[out] =
        weights.bias0[out] +
        Dot(RowOf(weights.mlp0, out, shape.concat()).first(shape.half()), scratch.user_half);
  }
}

void MacgnnScoreItems(const MacgnnWeights& weights, const ItemFeatures& items,
                      MacgnnScratch& scratch, std::span<float> logits) {
  PrepareItemSide(weights, items, scratch);
  ScoreBlock(weights, scratch.item_fc0.data(), weights.shape.hidden1, scratch, logits);
}

size_t MacgnnPreparedWidth(const MacgnnWeights& weights) {
  const MacgnnShape& shape = weights.shape;
  if (!Attends(weights)) return shape.hidden1;
  return shape.hidden1 + shape.d + shape.item_clusters + shape.user_clusters + shape.recent_len;
}

void MacgnnPrepareItems(const MacgnnWeights& weights, const ItemFeatures& items,
                        MacgnnScratch& scratch, std::span<float> prepared) {
  PrepareItemSide(weights, items, scratch);
  float* to = prepared.data();
  const auto keep = [&](const auto* part, size_t size) {
    std::memcpy(to, part, size * sizeof(float));
    to += size;
  };
  for (size_t row = 0; row < items.rows.size(); ++row) {
    keep(RowOf(scratch.item_fc0, row, weights.shape.hidden1).data(), weights.shape.hidden1);
    if (Attends(weights)) VisitItemSide(weights, row, scratch, keep);
  }
}

void MacgnnScorePrepared(const MacgnnWeights& weights, std::span<const float> prepared,
                         MacgnnScratch& scratch, std::span<float> logits) {
  const size_t width = MacgnnPreparedWidth(weights);
  if (Attends(weights)) {
    for (size_t row = 0; row < logits.size(); ++row) {
      const float* from = prepared.data() + row * width + weights.shape.hidden1;
      VisitItemSide(weights, row, scratch, [&](auto* part, size_t size) {
        std::memcpy(part, from, size * sizeof(float));
        from += size;
      });
    }
  }
  ScoreBlock(weights, prepared.data(), width, scratch, logits);
}

bool MacgnnScoreVariants(const MacgnnWeights& weights, std::span<const UserFeatures> variants,
                         const ItemFeatures& items, MacgnnScratch& scratch,
                         const std::function<bool()>& has_time, std::span<float> logits) {
  const size_t n = items.rows.size();
  if (variants.empty() || n == 0) return true;
  if (!has_time()) return false;
  PrepareVariants(weights, variants[0], items, scratch);
  // As many variants as fill the block: their rows are one product. At least one, since n items are
  // at most a block.
  const size_t at_once = scratch.block_size / n;
  for (size_t begin = 0; begin < variants.size(); begin += at_once) {
    if (!has_time()) return false;
    const auto part = variants.subspan(begin, std::min(at_once, variants.size() - begin));
    FirstLayerOfVariants(weights, part, n, scratch);
    const size_t rows = part.size() * n;
    for (size_t row = 0; row < rows; ++row) {
      const auto z = RowOf(scratch.fc0, row, weights.shape.hidden1);
      AddDice(z, weights.bias0, weights.dice1.layer(), z,
              RowOf(scratch.dice1, row, weights.shape.hidden1));
    }
    OtherLayers(weights, scratch, logits.subspan(begin * n, rows));
  }
  return true;
}

}  // namespace groundswell
