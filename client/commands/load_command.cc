// load: the open-loop load generator on the command line.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "client/commands/commands.h"
#include "client/load/load_generator.h"
#include "client/terminal/progress_bar.h"
#include "client/terminal/table.h"
#include "csv/utf8.h"

namespace groundswell {
namespace {

constexpr double kQuantiles[] = {0.5, 0.9, 0.99, 0.999};
constexpr size_t kUsersMax = 1'000'000;

struct LoadFlags {
  LoadOptions options;
  std::string method = "recommend";
  std::string users_file;
  bool poisson = false;
  double warmup_s = 1;
  double duration_s = 10;
};

double Milliseconds(std::chrono::nanoseconds duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

// 0 when it was interrupted before anything counted.
double PerSecond(const LoadReport& report) {
  return report.seconds > 0 ? static_cast<double>(report.completed) / report.seconds : 0;
}

absl::Status ReadUsers(const std::string& path, std::vector<std::string>& users) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(fmt::format("cannot open --users-file \"{}\"", path));
  std::string line;
  while (users.size() < kUsersMax && std::getline(file, line)) {
    if (!IsUtf8(line)) {
      return absl::InvalidArgumentError(
          fmt::format("--users-file \"{}\": {} must be UTF-8", path, ShownText(line)));
    }
    if (!line.empty()) users.push_back(line);
  }
  if (file.bad()) {
    return absl::InvalidArgumentError(
        fmt::format("--users-file \"{}\" cannot be read; is it a directory?", path));
  }
  return absl::OkStatus();
}

std::string CodeName(int code) {
  return code == 0 ? "OK" : absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

void PrintJson(const LoadReport& report) {
  nlohmann::ordered_json json = {{"seconds", report.seconds},
                                 {"completed", report.completed},
                                 {"per_second", PerSecond(report)},
                                 {"not_sent", report.not_sent},
                                 {"degraded", report.degraded}};
  for (const auto& [code, count] : report.codes) json["codes"][CodeName(code)] = count;
  for (const auto& [name, latency] :
       {std::pair("latency_ms", &report.latency), std::pair("ok_latency_ms", &report.ok_latency)}) {
    for (const double share : kQuantiles) {
      json[name][fmt::format("p{:g}", share * 100)] = Milliseconds(latency->Quantile(share));
    }
    json[name]["max"] = Milliseconds(latency->max());
  }
  fmt::print("{}\n", json.dump());
}

void PrintTable(const LoadReport& report) {
  Table table({{.title = "what"}, {.title = "value", .right = true}});
  table.AddRow({"completed", std::to_string(report.completed)});
  table.AddRow({"per second", fmt::format("{:.1f}", PerSecond(report))});
  for (const auto& [code, count] : report.codes) {
    table.AddRow({CodeName(code), std::to_string(count)});
  }
  table.AddRow({"degraded", std::to_string(report.degraded)});
  table.AddRow({"not sent", std::to_string(report.not_sent)});
  for (const double share : kQuantiles) {
    table.AddRow({fmt::format("p{:g}", share * 100),
                  fmt::format("{:.3f} ms", Milliseconds(report.latency.Quantile(share)))});
  }
  table.AddRow({"max", fmt::format("{:.3f} ms", Milliseconds(report.latency.max()))});
  fmt::print("{}", table.ToString());
}

void Load(LoadFlags& flags, CommandContext& context) {
  LoadOptions& options = flags.options;
  options.connection = context.connection;
  options.name_space = context.name_space;
  options.timeout = std::chrono::milliseconds(context.timeout_ms);
  options.method = flags.method == "rank"     ? LoadOptions::Method::kRank
                   : flags.method == "status" ? LoadOptions::Method::kStatus
                                              : LoadOptions::Method::kRecommend;
  if (flags.poisson) options.arrivals = LoadOptions::Arrivals::kPoisson;
  options.warmup = std::chrono::milliseconds(static_cast<int64_t>(flags.warmup_s * 1e3));
  options.duration = std::chrono::milliseconds(static_cast<int64_t>(flags.duration_s * 1e3));
  if (!flags.users_file.empty()) {
    if (absl::Status s = ReadUsers(flags.users_file, options.users); !s.ok())
      return context.Fail(s);
  }
  const auto total = options.warmup + options.duration;
  ProgressBar bar("load", static_cast<uint64_t>(total.count()));
  absl::StatusOr<LoadReport> report = GenerateLoad(
      options,
      [&](std::chrono::nanoseconds elapsed, uint64_t completed) {
        bar.Update(static_cast<uint64_t>(elapsed.count() / 1'000'000),
                   fmt::format("{} completed", completed));
      },
      Interrupted);
  if (!report.ok()) return context.Fail(report.status());
  bar.Finish(static_cast<uint64_t>(total.count()), fmt::format("{} completed", report->completed));
  if (context.json) {
    PrintJson(*report);
  } else {
    PrintTable(*report);
  }
}

}  // namespace

void AddLoadCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("load", "Open-loop load, with honest latencies");
  auto flags = std::make_shared<LoadFlags>();
  command.add_option("method", flags->method, "What to call; status is the server's cheapest call")
      ->check(CLI::IsMember({"recommend", "rank", "status"}))
      ->capture_default_str();
  command
      .add_option("--rate", flags->options.rate,
                  "Calls per second; 0: as many as --concurrency allows")
      ->capture_default_str();
  command.add_flag("--poisson", flags->poisson, "Random instead of even intervals");
  command.add_option("--seed", flags->options.seed, "Of --poisson")->capture_default_str();
  command.add_option("--duration-s", flags->duration_s, "Counted time")
      ->check(CLI::Range(0.1, 86'400.0))
      ->capture_default_str();
  command.add_option("--warmup-s", flags->warmup_s, "Time before it, not counted")
      ->check(CLI::Range(0.0, 3'600.0))
      ->capture_default_str();
  command.add_option("--concurrency", flags->options.concurrency, "Calls under way at most")
      ->capture_default_str();
  command.add_option("--connections", flags->options.connections)->capture_default_str();
  command.add_option("--user", flags->options.users, "User id; may be repeated");
  command.add_option("--users-file", flags->users_file, "User ids, one on a line");
  command.add_option("--item", flags->options.items, "Items of every rank call");
  command.add_option("--ranker", flags->options.ranker, "Model to ask for; the server's default");
  command.footer("Example:\n  groundswell load recommend --rate 500 --duration-s 10 --user 17850");
  command.callback([flags, &context] { Load(*flags, context); });
}

}  // namespace groundswell
