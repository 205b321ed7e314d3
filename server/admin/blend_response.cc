#include "server/admin/blend_response.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "blend/weights_file.h"
#include "google/protobuf/util/json_util.h"
#include "server/pipeline/blend_learner.h"
#include "server/pipeline/list_quality.h"

namespace groundswell {
namespace {

constexpr size_t kDigestBytes = 16;  // as the graph's has

std::string DigestOf(std::string_view bytes) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), hash.data());
  std::string digest;
  for (size_t at = 0; at < kDigestBytes; ++at) digest += fmt::format("{:02x}", hash[at]);
  return digest;
}

// By way of the file, so that it is what the file has.
absl::Status WriteWeights(const BlendWeights& weights, v1::Blend& out) {
  google::protobuf::Struct file;
  const auto read = google::protobuf::util::JsonStringToMessage(PrintBlendWeights(weights), &file);
  if (!read.ok()) return absl::InternalError(std::string(read.message()));
  out.set_format_version(static_cast<int32_t>(file.fields().at("format_version").number_value()));
  *out.mutable_weights() = file.fields().at("weights").struct_value();
  return absl::OkStatus();
}

// Out: v1::Blend or v1::JudgedContext.
template <typename Out>
void WriteLists(const ListQuality& quality, const QualityFigures::Lists& lists, Out& out) {
  for (size_t list = 0; list < lists.size(); ++list) {
    const QualityFigures::OfList& of = lists[list];
    if (of.interactions == 0) continue;
    v1::JudgedList& judged = *out.add_lists();
    judged.set_list(quality.NameOf(list));
    judged.set_interaction_count(static_cast<int64_t>(of.interactions));
    judged.set_hit_rate(of.hit_rate);
    judged.set_ndcg(of.ndcg);
    judged.set_served_hit_rate(of.served_hit_rate);
    judged.set_served_hit_share(of.of_served_hits);
  }
}

}  // namespace

absl::Status WriteBlend(const LiveState& state, bool learning, v1::Blend& out) {
  const absl::StatusOr<BlendLearner::Stored> stored = state.blend_learner->ReadStored();
  if (!stored.ok()) return stored.status();
  out.set_learning(learning);
  out.set_step_count(static_cast<int64_t>(stored->model.learned().steps));
  out.set_missed_count(static_cast<int64_t>(stored->model.learned().missed));
  out.set_digest(DigestOf(stored->bytes));
  const QualityFigures figures = state.list_quality->Read();
  WriteLists(*state.list_quality, figures.lists, out);
  for (size_t context = 0; context < kBlendContexts.size(); ++context) {
    v1::JudgedContext& judged = *out.add_contexts();
    judged.set_context(std::string(kBlendContexts[context]));
    WriteLists(*state.list_quality, figures.of_context[context], judged);
  }
  return WriteWeights(stored->model.weights(), out);
}

absl::StatusOr<std::string> BlendDigest(const LiveState& state) {
  const absl::StatusOr<BlendLearner::Stored> stored = state.blend_learner->ReadStored();
  if (!stored.ok()) return stored.status();
  return DigestOf(stored->bytes);
}

}  // namespace groundswell
