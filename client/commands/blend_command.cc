// blend: what decides the order of lists, and what the lists find.
#include <fmt/format.h>
#include <google/protobuf/struct.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "client/commands/admin_call.h"
#include "client/commands/commands.h"
#include "client/terminal/table.h"
#include "groundswell/v1/admin.grpc.pb.h"

namespace groundswell {
namespace {

using Weights = std::map<std::string, double>;  // by feature

Weights WeightsOf(const v1::Blend& blend, const std::string& row) {
  Weights weights;
  const auto found = blend.weights().fields().find(row);
  if (found == blend.weights().fields().end()) return weights;
  for (const auto& [feature, value] : found->second.struct_value().fields()) {
    weights[feature] = value.number_value();
  }
  return weights;
}

// What counts in a context, the largest first, whatever its sign.
void PrintContext(const std::string& context, const Weights& weights, size_t features_max) {
  std::vector<std::pair<std::string, double>> ordered(weights.begin(), weights.end());
  std::ranges::stable_sort(ordered, [](const auto& a, const auto& b) {
    return std::abs(a.second) > std::abs(b.second);
  });
  const size_t shown = std::min(ordered.size(), features_max);
  Table table({{.title = context}, {.title = "weight", .right = true}});
  for (const auto& [feature, weight] : std::span(ordered).first(shown)) {
    table.AddRow({feature, fmt::format("{:+.3f}", weight)});
  }
  fmt::print("\n{}", table.ToString());
  if (shown < ordered.size()) {
    fmt::print("the {} largest of {}; --top N for more\n", shown, ordered.size());
  }
}

void PrintLists(const v1::Blend& blend) {
  if (blend.lists().empty()) {
    fmt::print("\nno interaction was judged since this start of the server\n");
    return;
  }
  Table table({{.title = "list"},
               {.title = "judged by", .right = true},
               {.title = "hit rate at 20", .right = true},
               {.title = "NDCG at 20", .right = true},
               {.title = "served there", .right = true},
               {.title = "of its hits", .right = true}});
  for (const v1::JudgedList& list : blend.lists()) {
    table.AddRow({list.list(), std::to_string(list.interaction_count()),
                  fmt::format("{:.3f}", list.hit_rate()), fmt::format("{:.3f}", list.ndcg()),
                  fmt::format("{:.3f}", list.served_hit_rate()),
                  fmt::format("{:.0f}%", 100 * list.served_hit_share())});
  }
  fmt::print(
      "\n{}by the newest interactions in which the list proposed anything; what the served list "
      "found "
      "in the same, and the share of these hits that the list has too\n",
      table.ToString());
}

// What each list brings, by who asks.
void PrintContexts(const v1::Blend& blend) {
  Table table({{.title = "user"},
               {.title = "list"},
               {.title = "judged by", .right = true},
               {.title = "hit rate at 20", .right = true},
               {.title = "served there", .right = true},
               {.title = "of its hits", .right = true}});
  for (const v1::JudgedContext& context : blend.contexts()) {
    for (const v1::JudgedList& list : context.lists()) {
      table.AddRow({context.context(), list.list(), std::to_string(list.interaction_count()),
                    fmt::format("{:.3f}", list.hit_rate()),
                    fmt::format("{:.3f}", list.served_hit_rate()),
                    fmt::format("{:.0f}%", 100 * list.served_hit_share())});
    }
  }
  fmt::print("\n{}", table.ToString());
}

void PrintBlend(const v1::Blend& blend, size_t features_max) {
  fmt::print("learned from {} interactions, {} more were not among the candidates; {}\n",
             blend.step_count(), blend.missed_count(),
             blend.learning() ? "goes on learning" : "does not learn (blend.learning)");
  fmt::print("digest {}\n", blend.digest());
  std::set<std::string> contexts;
  for (const auto& [row, weights] : blend.weights().fields()) contexts.insert(row);
  for (const std::string& context : contexts) {
    PrintContext(context, WeightsOf(blend, context), features_max);
  }
  PrintLists(blend);
  if (!blend.lists().empty()) PrintContexts(blend);
}

// A snapshot's blend.json.
google::protobuf::Struct FileOf(const v1::Blend& blend) {
  google::protobuf::Struct file;
  (*file.mutable_fields())["format_version"].set_number_value(blend.format_version());
  *(*file.mutable_fields())["weights"].mutable_struct_value() = blend.weights();
  return file;
}

}  // namespace

void AddBlendCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "blend", "What has been learned to decide the order of lists, and what the lists find");
  auto top = std::make_shared<size_t>(12);
  auto reset = std::make_shared<bool>(false);
  auto request_id = std::make_shared<std::string>();
  CLI::Option* const shows =
      command.add_option("--top", *top, "Features of each context, the largest weights first")
          ->capture_default_str();
  CLI::Option* const resets =
      command.add_flag("--reset", *reset, "Forget what was learned, for good, and begin anew")
          ->excludes(shows);
  command
      .add_option("--request-id", *request_id,
                  "UUID of the reset; with that of an earlier one it is not done again")
      ->needs(resets);
  auto weights = std::make_shared<bool>(false);
  command.add_flag("--weights", *weights, "Print the weights alone, as a snapshot's blend.json")
      ->excludes(resets)
      ->excludes(shows);
  command.footer(
      "Example:\n  groundswell blend --top 5\n  groundswell blend --weights > blend.json");
  command.callback([=, &context] {
    if (*weights) context.json = false;  // the file is JSON of its own
    if (!*reset) {
      return CallAdmin(context, "blend", v1::GetBlendRequest(), &v1::AdminService::Stub::GetBlend,
                       [&](const v1::Blend& blend) {
                         if (*weights) return context.PrintJson(FileOf(blend));
                         PrintBlend(blend, *top);
                       });
    }
    v1::ResetBlendRequest request;
    request.set_request_id(request_id->empty() ? NewRequestId() : *request_id);
    CallAdmin(context, "blend --reset", request, &v1::AdminService::Stub::ResetBlend,
              [](const v1::ResetBlendResponse& response) {
                fmt::print("reset at offset {}\n", response.offset());
              });
  });
}

}  // namespace groundswell
