// recommend, rank, similar, user, status: one call each, as a table or as JSON.
#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "client/commands/answer_footer.h"
#include "client/commands/commands.h"
#include "client/commands/list_flags.h"
#include "client/source_names.h"
#include "client/terminal/table.h"
#include "program/terminal_text.h"

namespace groundswell {
namespace {

using google::protobuf::util::TimeUtil;

// Explanations of one item in a table.
constexpr int kExplanationsShown = 5;
// As in the API, where more is taken for so many.
constexpr int32_t kExplainMax = 10;

void AddExplain(CLI::App& command, int32_t& explain) {
  command.add_option("--explain", explain, "Explain so many of the first items")
      ->check(CLI::Range(0, kExplainMax));
}

std::string SourcesOf(const v1::RecommendedItem& item) {
  std::string text;
  for (const int source : item.sources()) {
    if (!text.empty()) text += ", ";
    text += SourceName(source);
  }
  return text;
}

template <typename Items>
void PrintItems(const Items& items) {
  Table table({{.title = "#", .right = true},
               {.title = "item"},
               {.title = "title"},
               {.title = "category"},
               {.title = "score", .right = true},
               {.title = "sources"}});
  int rank = 0;
  for (const v1::RecommendedItem& item : items) {
    table.AddRow({std::to_string(++rank), item.item_id(), item.title(), item.category(),
                  fmt::format("{:.4f}", item.score()), SourcesOf(item)});
  }
  fmt::print("{}", table.ToString());
}

// The cause of a score, in words.
std::string NameOf(const v1::Explanation& explanation) {
  switch (explanation.cause_case()) {
    case v1::Explanation::kPastItem: {
      const v1::PastItem& item = explanation.past_item();
      return item.title().empty() ? item.item_id()
                                  : fmt::format("{} {}", item.item_id(), item.title());
    }
    case v1::Explanation::kItemNode: {
      std::string name = std::to_string(explanation.item_node().number());
      const char* separator = ": ";
      for (const std::string& category : explanation.item_node().categories()) {
        name += separator + category;
        separator = ", ";
      }
      return name;
    }
    case v1::Explanation::kUserNode:
      return std::to_string(explanation.user_node().number());
    default:
      return "?";
  }
}

const char* KindOf(const v1::Explanation& explanation) {
  switch (explanation.cause_case()) {
    case v1::Explanation::kPastItem:
      return "past item";
    case v1::Explanation::kItemNode:
      return "item cluster";
    case v1::Explanation::kUserNode:
      return "user cluster";
    default:
      return "unknown";
  }
}

// Why the first items have their scores; nothing without explanations. Response: RecommendResponse
// or RankResponse.
template <typename Response>
void PrintExplanations(const Response& response) {
  if (!response.has_explanation_causes()) return;
  Table table({{.title = "#", .right = true},
               {.title = "because of"},
               {.title = "name", .width_max = 60},
               {.title = "logit", .right = true}});
  int rank = 0;
  for (const v1::RecommendedItem& item : response.items()) {
    ++rank;
    for (int at = 0; at < std::min(item.explanations_size(), kExplanationsShown); ++at) {
      const v1::Explanation& explanation = item.explanations(at);
      table.AddRow({std::to_string(rank), KindOf(explanation), NameOf(explanation),
                    fmt::format("{:+.4f}", explanation.contribution())});
    }
  }
  fmt::print("\n{}", table.ToString());
  fmt::print("the {} largest contributions of each item, all with --json; {} of {} causes tried\n",
             kExplanationsShown, response.explanation_causes().tried(),
             response.explanation_causes().known());
}

// What put the first items at their places; nothing where the blend did not order the list, or
// nobody asked.
void PrintBlendTerms(const v1::RecommendResponse& response) {
  Table table({{.title = "#", .right = true},
               {.title = "in the order of the blend because of"},
               {.title = "score", .right = true}});
  int rank = 0;
  for (const v1::RecommendedItem& item : response.items()) {
    ++rank;
    if (item.blend_terms().empty()) continue;
    double sum = 0;
    for (const v1::BlendTerm& term : item.blend_terms()) sum += term.contribution();
    table.AddRow({std::to_string(rank), fmt::format("all {} terms", item.blend_terms_size()),
                  fmt::format("{:+.4f}", sum)});
    for (int at = 0; at < std::min(item.blend_terms_size(), kExplanationsShown); ++at) {
      const v1::BlendTerm& term = item.blend_terms(at);
      table.AddRow(
          {std::to_string(rank), term.feature(), fmt::format("{:+.4f}", term.contribution())});
    }
  }
  if (table.empty()) return;
  fmt::print("\n{}", table.ToString());
  fmt::print("the {} largest terms of each item, all with --json\n", kExplanationsShown);
}

// The non-zero counts of a macro-edge vector, "node: count".
std::string MacroEdges(const google::protobuf::RepeatedField<int64_t>& counts) {
  std::string text;
  for (int node = 0; node < counts.size(); ++node) {
    if (counts[node] != 0)
      text += fmt::format("{}{}: {}", text.empty() ? "" : "  ", node, counts[node]);
  }
  return text.empty() ? "none" : text;
}

void PrintUser(const v1::GetUserStateResponse& user) {
  fmt::print("user {}: {} items, {} interactions, user cluster {}{}\n\n",
             TerminalText(user.user_id()), user.distinct_items(), user.total_count(),
             user.user_cluster(), user.has_embedding() ? "" : ", not in the snapshot");
  Table table({{.title = "item"},
               {.title = "title"},
               {.title = "category"},
               {.title = "node", .right = true},
               {.title = "count", .right = true},
               {.title = "last"}});
  for (const v1::RecentItem& item : user.recent_items()) {
    table.AddRow({item.item_id(), item.title(), item.category(),
                  std::to_string(item.item_cluster()), std::to_string(item.count()),
                  TimeUtil::ToString(item.last_time())});
  }
  fmt::print("{}\n", table.ToString());
  fmt::print("macro edges, 1 hop (item node: count)  {}\n", MacroEdges(user.one_hop()));
  fmt::print("macro edges, 2 hops (user node: count) {}\n", MacroEdges(user.two_hop()));
  fmt::print("graph up to offset {}\n", user.freshness().applied_offset());
  for (const int step : user.degradations()) {
    fmt::print("degraded: {}\n", v1::Degradation_Name(step));
  }
}

void PrintStatus(const v1::ServerStatus& status) {
  const v1::SnapshotInfo& snapshot = status.snapshot();
  Table table({{.title = "what"}, {.title = "value", .width_max = 100}});
  std::string rankers;
  for (const std::string& ranker : snapshot.rankers())
    rankers += (rankers.empty() ? "" : ", ") + ranker;
  table.AddRow({"server", status.server_version()});
  table.AddRow({"uptime", TimeUtil::ToString(status.uptime())});
  table.AddRow({"namespace", status.namespace_()});
  table.AddRow({"snapshot", snapshot.version()});
  table.AddRow({"digest", snapshot.digest()});
  table.AddRow({"users, items", fmt::format("{}, {}", snapshot.users(), snapshot.items())});
  table.AddRow({"clusters", fmt::format("{} of users, {} of items", snapshot.user_clusters(),
                                        snapshot.item_clusters())});
  table.AddRow({"rankers", rankers});
  table.AddRow({"index", status.index_kind()});
  table.AddRow({"log end, applied", fmt::format("{}, {}", status.graph().log_end_offset(),
                                                status.graph().applied_offset())});
  table.AddRow(
      {"graph", fmt::format("{} users, {} edges", status.graph().users(), status.graph().edges())});
  table.AddRow({"newest event", TimeUtil::ToString(status.graph().newest_event_time())});
  table.AddRow({"graph digest", status.graph().digest()});
  table.AddRow({"blend digest", status.graph().blend_digest()});
  table.AddRow({"log begins at", std::to_string(status.graph().log_begin_offset())});
  table.AddRow({"checkpoint", status.graph().has_checkpoint()
                                  ? fmt::format("offset {}", status.graph().checkpoint().offset())
                                  : "none"});
  fmt::print("{}", table.ToString());
}

}  // namespace

void AddRecommendCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("recommend", "The best items for a user");
  auto request = std::make_shared<v1::RecommendRequest>();
  auto list = std::make_shared<ListFlags>();
  auto explain = std::make_shared<int32_t>(0);
  auto is_anonymous = std::make_shared<bool>(false);
  CLI::Option* const user = command.add_option("user", *request->mutable_user_id(), "User id");
  CLI::Option* const events = list->AddTo(command);
  command
      .add_flag("--anonymous", *is_anonymous,
                "Nobody known: an anonymous session, which is --what-if")
      ->excludes(user)
      ->needs(events);
  command.add_option("--page-token", *request->mutable_page_token(), "Token of the page before");
  AddExplain(command, *explain);
  command.footer(
      "Example:\n  groundswell recommend 17850 -n 5 --category bags\n"
      "  groundswell recommend 17850 --what-if 85123A:view,22423:purchase\n"
      "  groundswell recommend --anonymous --what-if 85123A:view");
  command.callback([=, &context] {
    if (user->empty() && !*is_anonymous) throw CLI::RequiredError("user, or --anonymous,");
    list->Write(*request);
    request->set_explain_items(*explain);
    context.Show(context.MakeClient().Recommend(*request), PrintRecommendations);
  });
}

void PrintRecommendations(const v1::RecommendResponse& response) {
  PrintItems(response.items());
  PrintBlendTerms(response);
  PrintExplanations(response);
  PrintFooter(response);
  if (response.fallback_reason() != v1::FALLBACK_REASON_UNSPECIFIED) {
    fmt::print("not ranked: {}\n", v1::FallbackReason_Name(response.fallback_reason()));
  }
  if (!response.next_page_token().empty())
    fmt::print("next page: --page-token {}\n", TerminalText(response.next_page_token()));
}

namespace {

absl::Status NothingToRank(const v1::RankResponse& response) {
  std::string ids;
  for (const std::string& id : response.unknown_item_ids()) {
    ids += fmt::format("{}\"{}\"", ids.empty() ? "" : ", ", id);
  }
  return absl::NotFoundError(fmt::format(
      "none of the items is in the catalogue: {}; give item ids as the server's log has "
      "them",
      ids));
}

}  // namespace

void AddRankCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("rank", "Scores a list of items for a user");
  auto request = std::make_shared<v1::RankRequest>();
  auto items = std::make_shared<std::vector<std::string>>();
  auto explain = std::make_shared<int32_t>(0);
  auto what_if = std::make_shared<WhatIfFlag>();
  command
      .add_option("user", *request->mutable_user_id(),
                  "User id; \"\" for an anonymous session, which is --what-if")
      ->required();
  command.add_option("items", *items, "Item ids")->required();
  command.add_option("--ranker", *request->mutable_ranker(), "A model of the snapshot");
  AddExplain(command, *explain);
  what_if->AddTo(command);
  command.footer(
      "Example:\n  groundswell rank 17850 85123A 22423 47566\n"
      "  groundswell rank 17850 85123A 22423 --what-if 47566:view");
  command.callback([=, &context] {
    request->mutable_item_ids()->Add(items->begin(), items->end());
    request->set_explain_items(*explain);
    what_if->Write(*request->mutable_hypothetical_events());
    const absl::StatusOr<v1::RankResponse> ranked = context.MakeClient().Rank(*request);
    if (ranked.ok() && ranked->items().empty()) return context.Fail(NothingToRank(*ranked));
    context.Show(ranked, [](const v1::RankResponse& r) {
      PrintItems(r.items());
      for (const std::string& id : r.unknown_item_ids()) {
        fmt::print("not in the catalogue: {}\n", TerminalText(id));
      }
      PrintExplanations(r);
      PrintFooter(r);
    });
  });
}

void AddSimilarCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("similar", "The items nearest to an item");
  auto request = std::make_shared<v1::SimilarItemsRequest>();
  auto filter = std::make_shared<FilterFlags>();
  auto page_size = std::make_shared<int32_t>(10);
  command.add_option("item", *request->mutable_item_id(), "Item id")->required();
  AddPageSize(command, *page_size, "Items on a page");
  command.add_option("--page-token", *request->mutable_page_token(), "Token of the page before");
  auto by = std::make_shared<std::string>("inner-product");
  command
      .add_option("--by", *by,
                  "How near items are: by the inner product of their vectors, or by the cosine, "
                  "their direction alone")
      ->check(CLI::IsMember({"inner-product", "cosine"}))
      ->capture_default_str();
  filter->AddTo(command, /*with_seen=*/false);
  command.footer("Example:\n  groundswell similar 85123A -n 5 --by cosine");
  command.callback([=, &context] {
    request->set_page_size(*page_size);
    if (*by == "cosine") request->set_similarity(v1::SIMILARITY_COSINE);
    filter->Write(*request->mutable_filter());
    context.Show(context.MakeClient().SimilarItems(*request),
                 [](const v1::SimilarItemsResponse& r) {
                   PrintItems(r.items());
                   if (!r.next_page_token().empty()) {
                     fmt::print("next page: --page-token {}\n", TerminalText(r.next_page_token()));
                   }
                 });
  });
}

void AddUserCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("user", "What the server believes of a user");
  auto request = std::make_shared<v1::GetUserStateRequest>();
  auto recent = std::make_shared<int32_t>(10);
  command.add_option("user", *request->mutable_user_id(), "User id")->required();
  command.add_option("-n,--recent", *recent, "Newest items to list")->capture_default_str();
  command.add_option("--consistency-token", *request->mutable_consistency_token(),
                     "Token of an acknowledged interaction");
  command.footer("Example:\n  groundswell user 17850 -n 5");
  command.callback([=, &context] {
    request->set_recent_limit(*recent);
    context.Show(context.MakeClient().GetUserState(*request), PrintUser);
  });
}

void AddStatusCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("status", "What the server serves, and how far it is");
  command.footer("Example:\n  groundswell status --json");
  command.callback(
      [&context] { context.Show(context.MakeClient().GetServerStatus({}), PrintStatus); });
}

}  // namespace groundswell
