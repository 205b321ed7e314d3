#include "models/registry.h"

#include <fmt/format.h>

#include <string_view>

#include "models/dot/dot_ranker.h"
#include "models/macgnn/macgnn_ranker.h"

namespace groundswell {
namespace {

using Factory = absl::StatusOr<std::unique_ptr<Ranker>> (*)(const Manifest::Model&,
                                                            const SafetensorsFile&);
struct Kind {
  std::string_view name;
  Factory make;
};

constexpr Kind kKinds[] = {
    {"dot", MakeDotRanker},
    {"macgnn", MakeMacgnnRanker},
};

}  // namespace

absl::StatusOr<std::unique_ptr<Ranker>> MakeRanker(const Manifest::Model& model,
                                                   const SafetensorsFile& file) {
  std::string known;
  for (const Kind& kind : kKinds) {
    if (kind.name == model.kind) return kind.make(model, file);
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  }
  return absl::InvalidArgumentError(
      fmt::format("manifest.json: model \"{}\" is of kind \"{}\"; this server has: {}", model.name,
                  model.kind, known));
}

}  // namespace groundswell
