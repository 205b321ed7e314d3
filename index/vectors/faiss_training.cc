#include "index/vectors/faiss_training.h"

#include <faiss/IVFlib.h>
#include <faiss/IndexFlat.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexPQ.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/VectorTransform.h>
#include <faiss/utils/distances.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <span>

namespace groundswell {
namespace {

// What a centroid is trained on, and how often the centroids move. With 4,096 lists over a million
// items this takes a tenth of the time of FAISS's 256 rows and 25 rounds, at the same recall.
constexpr size_t kSampleRowsPerCentroid = 64;
constexpr int kTrainingRounds = 10;
// Also a product quantizer of 8 bits needs its sample, which has 256 centroids.
constexpr size_t kCentroidsMin = 1'024;

// What a clustering asks for the centroids nearest to its sample. With 16,384 centroids of a
// million rows FAISS would come back after a minute; here `goes_on` is asked every few milliseconds
// to tenths of a second. The rows of one question are those that FAISS takes at a time itself: it
// costs nothing.
class InterruptibleCentroids final : public faiss::IndexFlat {
 public:
  InterruptibleCentroids(size_t dim, faiss::MetricType metric, const std::function<bool()>& goes_on)
      : IndexFlat(static_cast<idx_t>(dim), metric), goes_on_(goes_on) {}

  void search(idx_t rows, const float* vectors, idx_t count, float* scores, idx_t* ids,
              const faiss::SearchParameters* parameters) const override {
    const idx_t step = faiss::distance_compute_blas_query_bs;
    for (idx_t done = 0; done < rows; done += step) {
      if (!goes_on_()) throw FaissCancelled();
      IndexFlat::search(std::min(step, rows - done), vectors + done * d, count,
                        scores + done * count, ids + done * count, parameters);
    }
  }

 private:
  const std::function<bool()>& goes_on_;
};

// That of PQ and IVF,PQ, behind a transformation and before a refinement or not; null: the index
// has none of these.
faiss::ProductQuantizer* ProductQuantizerOf(faiss::Index& index) {
  if (auto* turned = dynamic_cast<faiss::IndexPreTransform*>(&index)) {
    return ProductQuantizerOf(*turned->index);
  }
  if (auto* refined = dynamic_cast<faiss::IndexRefine*>(&index)) {
    return ProductQuantizerOf(*refined->base_index);
  }
  if (auto* flat = dynamic_cast<faiss::IndexPQ*>(&index)) return &flat->pq;
  if (auto* lists = dynamic_cast<faiss::IndexIVFPQ*>(&index)) return &lists->pq;
  return nullptr;
}

// The product quantizer that OPQ (Ge et al., Optimized Product Quantization, CVPR 2013) fits anew
// for each of its rotations, fifty times: FAISS's own default, except that it can be interrupted.
// For the life of the object, which must not outlive `rotation` or `goes_on`.
class InterruptibleRotation {
 public:
  InterruptibleRotation(faiss::OPQMatrix& rotation, const std::function<bool()>& goes_on)
      : rotation_(rotation),
        quantizer_(static_cast<size_t>(rotation.d_out), static_cast<size_t>(rotation.M), 8),
        parts_(quantizer_.dsub, faiss::METRIC_L2, goes_on) {
    quantizer_.assign_index = &parts_;
    quantizer_.cp.min_points_per_centroid = 1;  // else FAISS warns on standard error
    rotation_.pq = &quantizer_;
  }
  ~InterruptibleRotation() { rotation_.pq = nullptr; }
  InterruptibleRotation(const InterruptibleRotation&) = delete;
  InterruptibleRotation& operator=(const InterruptibleRotation&) = delete;

 private:
  faiss::OPQMatrix& rotation_;
  faiss::ProductQuantizer quantizer_;
  InterruptibleCentroids parts_;
};

// Those of OPQ, before a refinement or not.
std::vector<faiss::OPQMatrix*> RotationsOf(faiss::Index& index) {
  if (auto* refined = dynamic_cast<faiss::IndexRefine*>(&index)) {
    return RotationsOf(*refined->base_index);
  }
  std::vector<faiss::OPQMatrix*> rotations;
  auto* turned = dynamic_cast<faiss::IndexPreTransform*>(&index);
  if (turned == nullptr) return rotations;
  for (faiss::VectorTransform* transform : turned->chain) {
    auto* rotation = dynamic_cast<faiss::OPQMatrix*>(transform);
    if (rotation != nullptr) rotations.push_back(rotation);
  }
  return rotations;
}

}  // namespace

const float* FaissRows(const ItemVectors& vectors, size_t begin, size_t count, size_t stride,
                       std::vector<float>& copy) {
  const std::span<const ItemIndex> items = vectors.items();
  if (stride == 1 && vectors.is_trained_matrix()) return vectors.Of(items[begin]).data();
  copy.clear();
  for (size_t i = 0; i < count; ++i) {
    const std::span<const float> row = vectors.Of(items[begin + i * stride]);
    copy.insert(copy.end(), row.begin(), row.end());
  }
  return copy.data();
}

void TrainFaiss(const ItemVectors& vectors, const std::function<bool()>& goes_on,
                faiss::Index& index, std::vector<float>& copy) {
  auto* ivf = faiss::ivflib::try_extract_index_ivf(&index);
  const size_t centroids = std::max(ivf == nullptr ? 0 : ivf->nlist, kCentroidsMin);
  const size_t stride = std::max<size_t>(1, vectors.size() / (kSampleRowsPerCentroid * centroids));
  const size_t sample = vectors.size() / stride;
  if (sample == 0) return;
  std::optional<InterruptibleCentroids> clustering;
  if (ivf != nullptr) {
    ivf->cp.min_points_per_centroid = 1;  // else FAISS prints a warning to standard error
    ivf->cp.niter = kTrainingRounds;
    clustering.emplace(ivf->d, faiss::METRIC_INNER_PRODUCT, goes_on);
    ivf->clustering_index = &*clustering;
  }
  std::deque<InterruptibleRotation> rotations;
  for (faiss::OPQMatrix* const rotation : RotationsOf(index)) {
    rotations.emplace_back(*rotation, goes_on);
  }
  std::optional<InterruptibleCentroids> parts;
  faiss::ProductQuantizer* const quantizer = ProductQuantizerOf(index);
  if (quantizer != nullptr) {
    parts.emplace(quantizer->dsub, faiss::METRIC_L2, goes_on);
    quantizer->assign_index = &*parts;
    quantizer->cp.min_points_per_centroid = 1;  // else FAISS warns on standard error
  }
  index.train(static_cast<faiss::Index::idx_t>(sample),
              FaissRows(vectors, 0, sample, stride, copy));
  if (ivf != nullptr) ivf->clustering_index = nullptr;
  if (quantizer != nullptr) quantizer->assign_index = nullptr;
}

}  // namespace groundswell
