#include "program/suggestion.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "program/run_main.h"

namespace groundswell {
namespace {

constexpr size_t kWordBytesMax = 64;  // longer ones are no misspelt words

// Of the application and of the subcommands that were chosen.
std::vector<const CLI::App*> Chosen(const CLI::App& app) {
  std::vector<const CLI::App*> chosen = {&app};
  for (size_t at = 0; at < chosen.size(); ++at) {
    for (const CLI::App* sub : chosen[at]->get_subcommands()) chosen.push_back(sub);
  }
  return chosen;
}

std::vector<std::string> FlagsOf(const std::vector<const CLI::App*>& apps) {
  std::vector<std::string> flags;
  for (const CLI::App* app : apps) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    }
  }
  return flags;
}

std::vector<std::string> SubcommandsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  return names;
}

}  // namespace

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

std::optional<std::string> NearestWord(std::string_view word, std::span<const std::string> known) {
  if (word.size() > kWordBytesMax) return std::nullopt;
  std::optional<std::string> nearest;
  size_t least = std::max<size_t>(word.size() / 3, 1) + 1;
  for (const std::string& one : known) {
    const size_t distance = EditDistance(word, one);
    if (distance >= least) continue;
    least = distance;
    nearest = one;
  }
  return nearest;
}

std::string DescribeUsageError(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<const CLI::App*> chosen = Chosen(app);
  const std::vector<std::string> flags = FlagsOf(chosen);
  for (const std::string& word : app.remaining(/*recurse=*/true)) {
    if (word == "--") continue;
    const bool is_flag = word.starts_with("--");
    const std::string name = is_flag ? word.substr(0, word.find('=')) : word;
    if (is_flag && std::ranges::find(flags, name) != flags.end()) continue;
    // Behind a subcommand, a word that is no flag is one argument too many.
    if (!is_flag && chosen.size() > 1) break;
    const auto nearest = is_flag ? NearestWord(name, flags) : NearestWord(name, SubcommandsOf(app));
    const std::string kind = is_flag ? "flag" : "subcommand";
    return nearest.has_value()
               ? fmt::format("there is no {} \"{}\"; did you mean {}?", kind, name, *nearest)
               : fmt::format("there is no {} \"{}\"; --help shows those that there are", kind,
                             name);
  }
  std::string what = error.what();
  constexpr std::string_view kNoNumber = "Could not convert: ";
  if (!what.starts_with(kNoNumber)) return what;
  return what.substr(kNoNumber.size()) + ": it must be a number, of those that the flag can hold";
}

int ExitOnParseError(const CLI::App& app, const CLI::ParseError& error, bool json) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);
  const std::string message = DescribeUsageError(app, error);
  if (json) {
    const nlohmann::ordered_json object = {
        {"error", {{"code", "INVALID_ARGUMENT"}, {"message", message}}}};
    static_cast<void>(std::fprintf(
        stderr, "%s\n",
        object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str()));
  } else {
    PrintError(app.get_name().c_str(),
               (message + "\nRun with --help for more information.").c_str());
  }
  return kExitUsage;
}

}  // namespace groundswell
