#include "client/commands/list_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

namespace groundswell {

void AddPageSize(CLI::App& command, int32_t& page_size, const std::string& help) {
  command.add_option("-n,--page-size", page_size, help)
      ->check(CLI::Range(1, kPageItemsMax))
      ->capture_default_str();
}

void FilterFlags::AddTo(CLI::App& command, bool with_seen) {
  command.add_option("--category", categories, "Only items of this category; may be repeated");
  command.add_option("--exclude", excluded, "Never this item; may be repeated");
  if (with_seen) command.add_flag("--include-seen", include_seen, "Let seen items in");
}

void FilterFlags::Write(v1::ItemFilter& filter) const {
  filter.mutable_categories()->Add(categories.begin(), categories.end());
  filter.mutable_excluded_item_ids()->Add(excluded.begin(), excluded.end());
  filter.set_include_seen(include_seen);
}

CLI::Option* WhatIfFlag::AddTo(CLI::App& command) {
  return command
      .add_option("--what-if", events,
                  "As if the user had just done this: ITEM:TYPE, several by commas or repeated, "
                  "in their order")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check([](const std::string& event) {
        const size_t colon = event.rfind(':');
        const bool is_event = colon != std::string::npos && colon > 0 && colon + 1 < event.size();
        return is_event ? std::string()
                        : fmt::format("\"{}\" must be ITEM:TYPE, such as 85123A:view", event);
      });
}

void WhatIfFlag::Write(google::protobuf::RepeatedPtrField<v1::HypotheticalEvent>& added) const {
  for (const std::string& event : events) {
    const size_t colon = event.rfind(':');
    v1::HypotheticalEvent& supposed = *added.Add();
    supposed.set_item_id(event.substr(0, colon));
    supposed.set_event_type(event.substr(colon + 1));
  }
}

CLI::Option* ListFlags::AddTo(CLI::App& command) {
  AddPageSize(command, page_size, "Items on a page");
  CLI::Option* const named = command.add_option("--ranker", ranker, "A model of the snapshot");
  command.add_flag("--skip-ranking", skip_ranking, "In the order of the blend, without a ranker")
      ->excludes(named);
  command.add_option("--consistency-token", consistency_token,
                     "Token of an acknowledged interaction");
  command.add_option("--diversity", diversity,
                     "How much likeness to the items before counts against an item, 0 to 1");
  command.add_option("--category-max", category_max,
                     "Items of one category on a page at most; 0: any number");
  filter.AddTo(command, /*with_seen=*/true);
  return what_if.AddTo(command);
}

void ListFlags::Write(v1::RecommendRequest& request) const {
  request.set_page_size(page_size);
  request.set_ranker(ranker);
  request.set_skip_ranking(skip_ranking);
  request.set_consistency_token(consistency_token);
  if (diversity != 0) request.mutable_diversity()->set_strength(diversity);
  if (category_max != 0) request.mutable_diversity()->set_category_max(category_max);
  filter.Write(*request.mutable_filter());
  what_if.Write(*request.mutable_hypothetical_events());
}

}  // namespace groundswell
