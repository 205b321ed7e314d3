#include "models/snapshot/registry.h"

#include <fmt/format.h>

#include <string_view>

#include "models/caser/caser_ranker.h"
#include "models/dien/dien_ranker.h"
#include "models/din/din_ranker.h"
#include "models/dot/dot_ranker.h"
#include "models/files/checkpoint_reader.h"
#include "models/gru4rec/gru4rec_ranker.h"
#include "models/macgnn/macgnn_ranker.h"
#include "models/ncf/ncf_ranker.h"
#include "models/slirec/slirec_ranker.h"
#include "models/surge/surge_ranker.h"

namespace groundswell {
namespace {

using Factory = absl::StatusOr<std::unique_ptr<Ranker>> (*)(const Manifest::Model&,
                                                            const SafetensorsFile&);
struct RankerKind {
  std::string_view name;
  Factory make;
};

// One line for each kind.
// clang-format off
constexpr RankerKind kKinds[] = {
    {"caser", MakeCaserRanker},
    {"dien", MakeDienRanker},
    {"din", MakeDinRanker},
    {"dot", MakeDotRanker},
    {"gru4rec", MakeGru4recRanker},
    {"macgnn", MakeMacgnnRanker},
    {"ncf", MakeNcfRanker},
    {"slirec", MakeSlirecRanker},
    {"surge", MakeSurgeRanker},
};
// clang-format on

}  // namespace

absl::StatusOr<std::unique_ptr<Ranker>> MakeRanker(const Manifest::Model& model,
                                                   const SafetensorsFile& file) {
  if (absl::Status s = RefuseBatchNormalisation(file); !s.ok()) return s;
  std::string known;
  for (const RankerKind& kind : kKinds) {
    if (kind.name == model.kind) return kind.make(model, file);
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  }
  return absl::InvalidArgumentError(
      fmt::format("manifest.json: model \"{}\" is of kind \"{}\"; this server has: {}", model.name,
                  model.kind, known));
}

}  // namespace groundswell
