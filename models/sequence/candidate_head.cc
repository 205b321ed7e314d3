#include "models/sequence/candidate_head.h"

#include <algorithm>

namespace groundswell {

CandidateHeadScratch::CandidateHeadScratch(const CandidateHead& head, size_t block_size)
    : user(head.of_user.out()),
      targets(PaddedRows(block_size) * head.of_item.in()),
      prepared(block_size * head.of_item.out()),
      mlp(head.mlp, block_size) {}

CandidateHead ReadCandidateHead(CheckpointReader& reader, size_t features, size_t item_width) {
  CandidateHead head{.mlp = ReadMlp(reader, "head", features + item_width, Activation::kRelu),
                     .of_user = {},
                     .of_item = {}};
  if (!reader.ok()) return head;
  head.of_user = InputsOf(head.mlp.first, 0, features);
  head.of_user.bias = head.mlp.first.bias;
  head.of_item = InputsOf(head.mlp.first, features, item_width);
  DropValues(head.mlp.first);
  return head;
}

absl::Status PackCandidateHead(Precision precision, CandidateHead& head) {
  return PackLayer(precision, head.mlp.second);
}

void PrepareHeadUser(const CandidateHead& head, std::span<const float> features,
                     CandidateHeadScratch& scratch) {
  ApplyToRow(head.of_user, features, scratch.user);
}

void PrepareHeadItems(const CandidateHead& head, const SequenceItems& items,
                      std::span<const uint32_t> rows, CandidateHeadScratch& scratch,
                      std::span<float> prepared) {
  items.EmbedAll(rows, scratch.targets);
  MultiplyInF32(head.of_item, {scratch.targets.data(), items.width()}, rows.size(),
                scratch.mlp.hidden1.data());
  std::copy_n(scratch.mlp.hidden1.begin(), prepared.size(), prepared.begin());
}

void ScoreHeadPrepared(const CandidateHead& head, std::span<const float> prepared,
                       CandidateHeadScratch& scratch, Bf16Scratch& products,
                       std::span<float> logits) {
  std::copy(prepared.begin(), prepared.end(), scratch.mlp.hidden1.begin());
  FinishMlp(head.mlp, scratch.user, logits.size(), scratch.mlp, products, {logits.data(), 1});
}

}  // namespace groundswell
