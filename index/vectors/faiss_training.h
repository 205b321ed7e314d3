// How FAISS learns what an index is made of: lists, the parts of product quantizers, rotations.
// Only for faiss_index.cc.
#ifndef GROUNDSWELL_INDEX_VECTORS_FAISS_TRAINING_H_
#define GROUNDSWELL_INDEX_VECTORS_FAISS_TRAINING_H_

#include <faiss/Index.h>

#include <cstddef>
#include <exception>
#include <functional>
#include <vector>

#include "index/vectors/item_vectors.h"

namespace groundswell {

// Thrown through FAISS by what it calls of ours.
struct FaissCancelled final : std::exception {
  const char* what() const noexcept override { return "the building of the index was cancelled"; }
};

// `count` rows from `begin` on, each `stride`-th: in place where they lie one behind the other,
// else copied into `copy`.
const float* FaissRows(const ItemVectors& vectors, size_t begin, size_t count, size_t stride,
                       std::vector<float>& copy);

// Trains an empty index on a sample; `copy` is memory that it may use. Throws FaissCancelled once
// `goes_on` says no, which is asked while anything is clustered: lists, the parts of product
// quantizers, and those of OPQ. What is learned besides, such as PCA and the codes of fast scans,
// takes less than a second.
void TrainFaiss(const ItemVectors& vectors, const std::function<bool()>& goes_on,
                faiss::Index& index, std::vector<float>& copy);

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_FAISS_TRAINING_H_
