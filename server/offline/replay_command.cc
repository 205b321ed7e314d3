#include "server/offline/replay_command.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "graph/state/neighbor_lists.h"
#include "server/config/config.h"
#include "server/config/config_reading.h"
#include "server/offline/replay.h"
#include "server/process/signals.h"

namespace groundswell {
namespace {

void AddCandidateFlags(CLI::App& command, CandidateDraw& candidates) {
  const auto set_sources = [&candidates](const std::string& names) {
    auto quotas = QuotasOfNamed(names);
    if (!quotas.ok()) {
      throw CLI::ValidationError("--candidate-sources", std::string(quotas.status().message()));
    }
    candidates.quotas = *quotas;
  };
  command.add_option_function<std::string>(
      "--candidate-sources", set_sources,
      "Sources of those candidates, with commas between them, of embedding, similar_items, "
      "next_items, random_walk, trending, macro_node; else those that a server asks by default");
  const auto set_draw = [&candidates](const std::string& draw) {
    candidates.by_source = draw == "stratified";
  };
  command
      .add_option_function<std::string>("--candidate-draw", set_draw,
                                        "stratified: from what each source proposes, in turn; "
                                        "uniform: from all of them")
      ->check(CLI::IsMember({"stratified", "uniform"}))
      ->default_str("stratified");
}

void AddReplayFlags(CLI::App& command, ReplayOptions& options) {
  command.add_option("--snapshot", options.snapshot_directory, "Snapshot directory")->required();
  command
      .add_option(
          "--events", options.events_path,
          "CSV of interactions in time order: timestamp (Unix seconds), user, item; weight, "
          "or type, if there is")
      ->required();
  command.add_option("--type", options.weights.default_type, "Type of events that name none")
      ->capture_default_str();
  command.add_option("--graph-out", options.graph_out, "Write graph.safetensors here");
  command
      .add_option("--traced-interactions", options.traced_interactions,
                  "Newest interactions of a user whose order the graph keeps")
      ->check(CLI::Range(size_t{0}, NeighborLists::kNeighborsMaxLimit))
      ->capture_default_str();
  command.add_option("--rows-out", options.rows_out, "Write training rows here");
  command.add_option("--rows-from", options.rows_from_s, "First event time that makes rows");
  command.add_option("--rows-until", options.rows_until_s, "Event time before which rows end");
  command.add_option("--sample-rate", options.sample_rate, "Share of the events that make rows")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--features-at", options.features_at_s,
                     "All rows with the features of this time, to measure what freshness is worth");
  NegativeCounts& negatives = options.negatives;
  const auto add_count = [&command](const char* name, uint32_t& count, const char* help) {
    command.add_option(name, count, help)->check(CLI::Range(0, 1'000))->capture_default_str();
  };
  add_count("--uniform-negatives", negatives.uniform, "Negatives per event, drawn from all items");
  add_count("--popular-negatives", negatives.popular, "Drawn from all earlier events");
  add_count("--session-negatives", negatives.session, "Drawn from the events of the last while");
  add_count("--retrieval-negatives", negatives.retrieval,
            "Drawn from what the embedding search finds for the user as they are then");
  add_count("--candidates-negatives", negatives.candidates,
            "Drawn, none twice, from what the sources of a server would have proposed then");
  AddCandidateFlags(command, options.candidates);
  command.add_option("--session-s", negatives.session_s, "Length of that while, in seconds")
      ->check(CLI::Range(1, 31'536'000))
      ->capture_default_str();
  command.add_option("--retrieval-depth", negatives.retrieval_depth, "Items that the search finds")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command.add_option("--history-len", options.history_len, "Newest items of the user per event")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  command.add_option("--recent-len", options.recent_len, "Newest users per item")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  command.add_flag("--create-items", options.creates_items,
                   "Items outside the snapshot are new ones; else their events are left out");
  command.add_option("--seed", options.seed, "Seed of the samples")->capture_default_str();
  command.footer(
      "Example:\n  groundswell-server replay --snapshot draft --events events.csv "
      "--graph-out graph.safetensors --rows-out rows.safetensors");
}

}  // namespace

std::function<absl::StatusOr<int>()> AddReplayCommand(CLI::App& app) {
  const auto options = std::make_shared<ReplayOptions>();
  CLI::App& command = *app.add_subcommand("replay", "Make training rows and the graph from a log");
  AddReplayFlags(command, *options);
  const auto event_types = std::make_shared<std::string>();
  command.add_option("--event_types", *event_types,
                     "The server's types and weights (docs/configuration.md), such as "
                     "purchase=1,return=-1");
  return [options, event_types]() -> absl::StatusOr<int> {
    Config config;
    if (!event_types->empty()) {
      if (absl::Status s = SetKey("event_types", *event_types, config); !s.ok()) return s;
    }
    options->weights.of_type = std::move(config.event_types);
    if (absl::Status s = Replay(*options, Interrupted); !s.ok()) return s;
    return EXIT_SUCCESS;
  };
}

}  // namespace groundswell
