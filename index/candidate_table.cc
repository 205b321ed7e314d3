#include "index/candidate_table.h"

#include <algorithm>
#include <limits>

namespace groundswell {

void CandidateTable::Reset(size_t proposals_max) {
  rows_.clear();
  rows_.reserve(proposals_max);
  row_of_item_.Reset(proposals_max);
  for (Entries& entries : entries_) {
    entries.asked = false;
    entries.place.clear();
    entries.score.clear();
  }
}

void CandidateTable::Add(SourceBit source, std::span<const Candidate> list) {
  constexpr size_t kPlaceMax = std::numeric_limits<uint16_t>::max();
  Entries& entries = EntriesOf(source);
  entries.asked = true;
  for (size_t at = 0; at < list.size(); ++at) {
    uint32_t& row = row_of_item_[list[at].item];
    if (row == 0) {
      rows_.push_back({.item = list[at].item});
      row = static_cast<uint32_t>(rows_.size());
    }
    rows_[row - 1].sources |= source;
    if (entries.place.size() < row) {
      entries.place.resize(row);
      entries.score.resize(row);
    }
    entries.place[row - 1] = static_cast<uint16_t>(std::min(at + 1, kPlaceMax));
    entries.score[row - 1] = list[at].score;
  }
}

CandidateTable::Column CandidateTable::Of(SourceBit source) {
  Entries& entries = EntriesOf(source);
  if (!entries.asked) return {};
  entries.place.resize(rows_.size());
  entries.score.resize(rows_.size());
  return {.place = entries.place, .score = entries.score};
}

}  // namespace groundswell
