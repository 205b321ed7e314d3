// The fold-in of ALS for implicit feedback (Hu, Koren, Volinsky, ICDM 2008): the vector that the
// next half step of the training would give a user, or likewise an item, with the others' fixed.
//
//   e_u = (G + sum_i (c_i - 1) y_i y_i' + lambda_u I)^-1 sum_i c_i y_i,   c_i = 1 + alpha A[u,i]
#ifndef GROUNDSWELL_MODELS_ENCODERS_ALS_ENCODER_H_
#define GROUNDSWELL_MODELS_ENCODERS_ALS_ENCODER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/encoder.h"
#include "models/encoders/target_encoder.h"
#include "models/files/manifest.h"
#include "models/files/safetensors.h"

namespace groundswell {

// A system of so many equations takes some milliseconds, and its square in doubles.
inline constexpr size_t kAlsDimMax = 512;

// Tensor `item_gram` (d, d) of users, Y'Y over the trained items; `user_gram` of items; the other
// may be there for the other side's encoder. F64 keeps all its digits. Options `alpha`, `lambda`
// (above 0), `regularisation` "plain" (also when it is absent; lambda_u is lambda) or "weighted"
// (lambda |N_u|), and `neighbors`, the newest ones that are read; all of them when it is absent.
// Neighbours without a vector are left out, of |N_u| too.
absl::StatusOr<std::unique_ptr<Encoder>> MakeAlsEncoder(const Manifest::Encoder& encoder,
                                                        const SafetensorsFile& file,
                                                        const TrainedVectors& trained);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_ALS_ENCODER_H_
