// CandidateTable: what the sources of a request propose, as one table: a row per item, and of every
// source its place and its score there.
//
// Nothing is judged here. A row keeps all that its proposers said, so that whoever puts the rows in
// order (blend/) can weigh one against the other.
#ifndef GROUNDSWELL_INDEX_CANDIDATE_TABLE_H_
#define GROUNDSWELL_INDEX_CANDIDATE_TABLE_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/candidate_source.h"
#include "index/item_table.h"

namespace groundswell {

// Memory of one request at a time, grown by the first ones, then reused.
class CandidateTable {
 public:
  // One source's view of the rows: one entry per row, or none where it was not asked.
  struct Column {
    std::span<const uint16_t> place;  // from 1; 0: it did not propose the item
    std::span<const float> score;     // of the source's own scale
  };

  // Forgets everything, and makes room for so many proposals without an allocation.
  void Reset(size_t proposals_max);

  // A source's list, best first, without duplicates. A longer list of the same source, which begins
  // with the one before, may follow. REQUIRES: no more proposals in all than Reset was told.
  void Add(SourceBit source, std::span<const Candidate> list);

  // In the order in which they were first proposed. The score is 0; the sources are all proposers.
  std::span<const Candidate> rows() const { return rows_; }

  bool WasAsked(SourceBit source) const {
    return entries_[static_cast<size_t>(std::countr_zero<uint32_t>(source))].asked;
  }

  // REQUIRES: nothing is added between this and the last use of the answer.
  Column Of(SourceBit source);

 private:
  struct Entries {
    bool asked = false;
    std::vector<uint16_t> place;
    std::vector<float> score;
  };
  Entries& EntriesOf(SourceBit source) {
    return entries_[static_cast<size_t>(std::countr_zero<uint32_t>(source))];
  }

  std::vector<Candidate> rows_;
  ItemTable<uint32_t> row_of_item_;  // from 1
  std::array<Entries, kSourceNames.size()> entries_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_CANDIDATE_TABLE_H_
