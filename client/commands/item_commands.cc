// item, items, categories: what the catalogue has.
#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "client/commands/commands.h"
#include "client/commands/list_flags.h"
#include "client/terminal/table.h"
#include "program/terminal_text.h"

namespace groundswell {
namespace {

using google::protobuf::util::TimeUtil;

const char* StateOfItem(const v1::CatalogueItem& item) {
  switch (item.state()) {
    case v1::ITEM_STATE_ACTIVE:
      return "active";
    case v1::ITEM_STATE_NOT_AVAILABLE:
      return "not available";
    case v1::ITEM_STATE_REMOVED:
      return "removed";
    default:
      return "unknown";
  }
}

const char* VectorOfItem(v1::ItemVector vector) {
  switch (vector) {
    case v1::ITEM_VECTOR_NONE:
      return "none";
    case v1::ITEM_VECTOR_TRAINED:
      return "trained";
    case v1::ITEM_VECTOR_LIVE:
      return "live";
    default:
      return "unknown";
  }
}

void PrintItem(const v1::GetItemResponse& details) {
  const v1::CatalogueItem& item = details.item();
  Table table({{.title = "what"}, {.title = "value", .width_max = 100}});
  table.AddRow({"item", item.item_id()});
  table.AddRow({"state", StateOfItem(item)});
  if (item.state() != v1::ITEM_STATE_REMOVED) {
    table.AddRow({"title", item.title()});
    table.AddRow({"category", item.category()});
    table.AddRow({"of the snapshot", item.created() ? "no, created since" : "yes"});
    if (item.has_available_from()) {
      table.AddRow({"available from", TimeUtil::ToString(item.available_from())});
    }
    if (item.has_available_until()) {
      table.AddRow({"available until", TimeUtil::ToString(item.available_until())});
    }
    table.AddRow({"item cluster", std::to_string(details.item_cluster())});
    table.AddRow({"users, newest at hand",
                  fmt::format("{}, {}", details.user_count(), details.newest_user_count())});
    table.AddRow({"interactions", std::to_string(details.total_count())});
    table.AddRow({"last interaction", details.has_last_interaction_time()
                                          ? TimeUtil::ToString(details.last_interaction_time())
                                          : "none"});
    table.AddRow({"vector", VectorOfItem(details.vector())});
    std::string rules;
    for (const std::string& name : details.rule_names()) {
      rules += (rules.empty() ? "" : ", ") + name;
    }
    table.AddRow({"list rules", rules.empty() ? "none" : rules});
  }
  fmt::print("{}\n{}, graph up to offset {}\n", table.ToString(),
             TerminalText(details.snapshot_version()), details.applied_offset());
}

void PrintNextPage(const std::string& token) {
  if (!token.empty()) fmt::print("next page: --page-token {}\n", TerminalText(token));
}

void PrintCatalogueItems(const v1::ListItemsResponse& list) {
  Table table({{.title = "item"},
               {.title = "title"},
               {.title = "category"},
               {.title = "state"},
               {.title = "created"}});
  for (const v1::CatalogueItem& item : list.items()) {
    table.AddRow({item.item_id(), item.title(), item.category(), StateOfItem(item),
                  item.created() ? "yes" : ""});
  }
  fmt::print("{}", table.ToString());
  PrintNextPage(list.next_page_token());
}

void PrintCategories(const v1::ListCategoriesResponse& list) {
  Table table({{.title = "category"}, {.title = "items", .right = true}});
  for (const v1::CatalogueCategory& category : list.categories()) {
    table.AddRow({category.category(), std::to_string(category.item_count())});
  }
  fmt::print("{}", table.ToString());
  PrintNextPage(list.next_page_token());
}

void AddItemCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("item", "What the server knows of an item");
  auto request = std::make_shared<v1::GetItemRequest>();
  command.add_option("item", *request->mutable_item_id(), "Item id")->required();
  command.add_option("--consistency-token", *request->mutable_consistency_token(),
                     "Token of an acknowledged interaction");
  command.footer("Example:\n  groundswell item 85123A");
  command.callback(
      [=, &context] { context.Show(context.MakeClient().GetItem(*request), PrintItem); });
}

void AddListItemsCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("items", "The items of the catalogue");
  auto request = std::make_shared<v1::ListItemsRequest>();
  auto page_size = std::make_shared<int32_t>(20);
  command.add_option("--query", *request->mutable_query(),
                     "Only items with this in their id or title, in either case");
  command.add_option("--category", *request->mutable_category(), "Only items of this category");
  AddPageSize(command, *page_size, "Items on a page");
  command.add_option("--page-token", *request->mutable_page_token(), "Token of the page before");
  command.footer("Example:\n  groundswell items --query lantern -n 5");
  command.callback([=, &context] {
    request->set_page_size(*page_size);
    context.Show(context.MakeClient().ListItems(*request), PrintCatalogueItems);
  });
}

void AddCategoriesCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command =
      *app.add_subcommand("categories", "The categories of the catalogue, with their items");
  auto request = std::make_shared<v1::ListCategoriesRequest>();
  auto page_size = std::make_shared<int32_t>(100);
  AddPageSize(command, *page_size, "Categories on a page");
  command.add_option("--page-token", *request->mutable_page_token(), "Token of the page before");
  command.footer("Example:\n  groundswell categories");
  command.callback([=, &context] {
    request->set_page_size(*page_size);
    context.Show(context.MakeClient().ListCategories(*request), PrintCategories);
  });
}

}  // namespace

void AddItemCommands(CLI::App& app, CommandContext& context) {
  AddItemCommand(app, context);
  AddListItemsCommand(app, context);
  AddCategoriesCommand(app, context);
}

}  // namespace groundswell
