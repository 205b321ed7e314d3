// trace: why items are, or are not, in a user's list.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/commands/answer_footer.h"
#include "client/commands/commands.h"
#include "client/commands/list_flags.h"
#include "client/source_names.h"
#include "client/terminal/table.h"

namespace groundswell {
namespace {

// "LIST_OUTCOME_NOT_PROPOSED" without its prefix, in words.
std::string InWords(std::string_view enumerator, std::string_view prefix) {
  std::string words(enumerator.substr(std::min(prefix.size(), enumerator.size())));
  std::ranges::transform(words, words.begin(), [](unsigned char letter) {
    return letter == '_' ? ' ' : static_cast<char>(std::tolower(letter));
  });
  return words;
}

void AppendPart(std::string& text, const std::string& part) {
  text += (text.empty() ? "" : ", ") + part;
}

std::string OutcomeOf(const v1::ItemTrace& item) {
  std::string text = InWords(v1::ListOutcome_Name(item.outcome()), "LIST_OUTCOME_");
  std::string filters;
  for (const int filter : item.filtered_by()) {
    AppendPart(filters,
               InWords(v1::ListFilter_Name(static_cast<v1::ListFilter>(filter)), "LIST_FILTER_"));
  }
  return filters.empty() ? text : fmt::format("{}: {}", text, filters);
}

std::string PlaceOf(int32_t place) { return place > 0 ? std::to_string(place) : "-"; }

std::string PlaceAndScore(bool has, const v1::ScoredPlace& place) {
  return has ? fmt::format("{} ({:.4f})", place.place(), place.score()) : "-";
}

std::string MovesOf(const v1::ItemTrace& item) {
  std::string text;
  for (const v1::ListMove& move : item.moves()) {
    AppendPart(text,
               fmt::format("{} {} to {}", InWords(v1::ListStep_Name(move.step()), "LIST_STEP_"),
                           PlaceOf(move.from_place()), PlaceOf(move.to_place())));
  }
  return text;
}

std::string ProposersOf(const v1::ItemTrace& item) {
  std::string text;
  for (const v1::SourcePlace& source : item.sources()) {
    AppendPart(text, fmt::format("{} {}", SourceName(source.source()), source.place()));
  }
  return text;
}

void PrintTrace(const v1::TraceRecommendResponse& trace) {
  Table items({{.title = "item"},
               {.title = "title", .width_max = 30},
               {.title = "outcome"},
               {.title = "place", .right = true},
               {.title = "blend", .right = true},
               {.title = "ranker", .right = true},
               {.title = "order", .right = true},
               {.title = "moved by", .width_max = 60},
               {.title = "place in sources", .width_max = 100}});
  for (const v1::ItemTrace& item : trace.items()) {
    items.AddRow({item.item_id(), item.title(), OutcomeOf(item), PlaceOf(item.place()),
                  PlaceAndScore(item.has_blend(), item.blend()),
                  PlaceAndScore(item.has_ranker(), item.ranker()),
                  PlaceAndScore(item.has_order(), item.order()), MovesOf(item), ProposersOf(item)});
  }
  fmt::print("{}\n", items.ToString());
  Table sources({{.title = "source"},
                 {.title = "state"},
                 {.title = "quota", .right = true},
                 {.title = "proposed", .right = true}});
  for (const v1::SourceTrace& source : trace.sources()) {
    sources.AddRow({SourceName(source.source()),
                    InWords(v1::SourceState_Name(source.state()), "SOURCE_STATE_"),
                    std::to_string(source.quota()), std::to_string(source.proposed_count())});
  }
  fmt::print("{}\n{} proposed, {} chosen, {} ranked, {} listed\n", sources.ToString(),
             trace.proposed_count(), trace.chosen_count(), trace.ranked_count(),
             trace.listed_count());
  PrintFooter(trace);
}

}  // namespace

void AddTraceCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("trace", "Why items are, or are not, in a user's list");
  auto request = std::make_shared<v1::TraceRecommendRequest>();
  auto list = std::make_shared<ListFlags>();
  auto items = std::make_shared<std::vector<std::string>>();
  command
      .add_option("user", *request->mutable_recommend()->mutable_user_id(),
                  "User id; \"\" for an anonymous session, which is --what-if")
      ->required();
  command.add_option("items", *items, "Item ids, at most 100")->required();
  list->AddTo(command);
  command.footer(
      "Example:\n  groundswell trace 17850 85123A 22423\n"
      "  groundswell trace 17850 85123A --include-seen --diversity 0.3");
  command.callback([=, &context] {
    request->mutable_item_ids()->Add(items->begin(), items->end());
    list->Write(*request->mutable_recommend());
    context.Show(context.MakeClient().TraceRecommend(*request), PrintTrace);
  });
}

}  // namespace groundswell
