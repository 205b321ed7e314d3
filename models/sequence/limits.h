// Bounds on what a file or a manifest of a sequence ranker may ask for, so that no size overflows
// or exhausts the memory.
#ifndef GROUNDSWELL_MODELS_SEQUENCE_LIMITS_H_
#define GROUNDSWELL_MODELS_SEQUENCE_LIMITS_H_

#include <cstddef>

namespace groundswell {

inline constexpr size_t kSequenceRowsMax = 1'000'000'001;      // of a table
inline constexpr size_t kSequenceWidthMax = 1'024;             // of an embedding or a state
inline constexpr size_t kSequenceLayerMax = 4'096;             // outputs of a layer
inline constexpr size_t kSequenceInputsMax = size_t{1} << 24;  // of a layer, side by side
inline constexpr size_t kSequenceHistoryMax = 1'000;
// Floats that are made for every position of one user's history (SURGE: or for every cluster of
// every candidate, or of its adjacency's products).
inline constexpr size_t kSequenceUserFloatsMax = size_t{1} << 26;

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SEQUENCE_LIMITS_H_
