// Flags of the commands that ask for a list, or about one.
#ifndef GROUNDSWELL_CLIENT_COMMANDS_LIST_FLAGS_H_
#define GROUNDSWELL_CLIENT_COMMANDS_LIST_FLAGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "groundswell/v1/recommend.pb.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace groundswell {

// As in the API, where more is taken for so many.
inline constexpr int32_t kPageItemsMax = 100;

// Of a command whose answer has pages.
void AddPageSize(CLI::App& command, int32_t& page_size, const std::string& help);

// Each must outlive the parsing of the command that it is added to.
struct FilterFlags {
  std::vector<std::string> categories;
  std::vector<std::string> excluded;
  bool include_seen = false;

  void AddTo(CLI::App& command, bool with_seen);
  void Write(v1::ItemFilter& filter) const;
};

// Events that are supposed for one call.
struct WhatIfFlag {
  std::vector<std::string> events;  // "ITEM:TYPE"; an item id may have colons of its own

  CLI::Option* AddTo(CLI::App& command);
  void Write(google::protobuf::RepeatedPtrField<v1::HypotheticalEvent>& added) const;
};

// What a list is made by, but for its user and its pages.
struct ListFlags {
  int32_t page_size = 10;
  std::string ranker;
  bool skip_ranking = false;
  std::string consistency_token;
  double diversity = 0;
  int32_t category_max = 0;
  FilterFlags filter;
  WhatIfFlag what_if;

  // Returns the option of the supposed events.
  CLI::Option* AddTo(CLI::App& command);
  void Write(v1::RecommendRequest& request) const;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_COMMANDS_LIST_FLAGS_H_
