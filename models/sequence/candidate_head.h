// The head of the rankers whose only meeting of user and candidate it is:
//
//   logit = MLP([features of the user | e(candidate)])
//
// Its first layer splits: the part of the features is made once per request, that of the candidate
// is the item's alone and may be kept (Ranker::PrepareItems).
#ifndef GROUNDSWELL_MODELS_SEQUENCE_CANDIDATE_HEAD_H_
#define GROUNDSWELL_MODELS_SEQUENCE_CANDIDATE_HEAD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "models/files/checkpoint_reader.h"
#include "models/math/weight.h"
#include "models/sequence/items.h"
#include "models/sequence/layers.h"

namespace groundswell {

struct CandidateHead {
  Mlp mlp;
  DenseLayer of_user;  // features x hidden, with the bias
  DenseLayer of_item;  // width of the items x hidden

  size_t prepared_width() const { return of_item.out(); }
};

struct CandidateHeadScratch {
  CandidateHeadScratch(const CandidateHead& head, size_t block_size);

  std::vector<float> user;      // hidden: of_user features + b
  std::vector<float> targets;   // n x width
  std::vector<float> prepared;  // n x hidden
  MlpScratch mlp;
};

// The tensors `head` with relu.
CandidateHead ReadCandidateHead(CheckpointReader& reader, size_t features, size_t item_width);
absl::Status PackCandidateHead(Precision precision, CandidateHead& head);

// As the functions of Ranker.
void PrepareHeadUser(const CandidateHead& head, std::span<const float> features,
                     CandidateHeadScratch& scratch);
void PrepareHeadItems(const CandidateHead& head, const SequenceItems& items,
                      std::span<const uint32_t> rows, CandidateHeadScratch& scratch,
                      std::span<float> prepared);
void ScoreHeadPrepared(const CandidateHead& head, std::span<const float> prepared,
                       CandidateHeadScratch& scratch, Bf16Scratch& products,
                       std::span<float> logits);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SEQUENCE_CANDIDATE_HEAD_H_
