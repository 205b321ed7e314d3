// Diversity: a list put in another order, so that its items are less like each other.
//
// Maximal Marginal Relevance (Carbonell, Goldstein, SIGIR 1998) over the items' embeddings. The
// list is chosen anew from its first, one by one; next comes the item i with the highest
//
//   (1 - strength) relevance(i) - strength max over the items j chosen before of similarity(i, j)
//
//   relevance(i)     = 1 - (place - 1) / items_max, the place from 1 as the list was before
//   similarity(i, j) = the cosine of their embeddings, or 0 where it is negative or one has none
//
// with equal ones in the order that they were in. So strength 0 changes nothing, at strength 1 only
// the likeness counts, and in between one rule says what a place is worth: at strength s an item
// whose nearest chosen one is .1 more alike stands back by .1 s / (1 - s) items_max places. An item
// without a vector is unlike all others.
#ifndef GROUNDSWELL_INDEX_VECTORS_DIVERSITY_H_
#define GROUNDSWELL_INDEX_VECTORS_DIVERSITY_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/candidate_source.h"
#include "index/vectors/embedding_index.h"

namespace groundswell {

// Memory of one call at a time; grown by the first calls, then reused.
struct DiversityScratch {
  std::vector<float> rows;     // n x dim: the vectors, of length 1 or 0
  std::vector<float> cosines;  // n x n
  // By place before.
  std::vector<float> relevance;  // its share of the value; minus infinity once chosen
  std::vector<float> nearest;    // the highest cosine with one that was chosen, at least 0
  std::vector<float> value;
  std::vector<Candidate> before;
};

// Orders the first `items_max` items so; what is behind them stays. Scores stay with their items.
// O(n^2 dim) for the n = min(items_max, items) of them. REQUIRES: 0 <= strength <= 1.
void Diversify(const EmbeddingIndex::View& vectors, float strength, size_t items_max,
               DiversityScratch& scratch, std::span<Candidate> items);

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_DIVERSITY_H_
