#include "client/evaluate/evaluation_report.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "client/terminal/table.h"

namespace groundswell {
namespace {

using google::protobuf::util::TimeUtil;
using nlohmann::ordered_json;

constexpr double kQuantiles[] = {0.5, 0.99};
// The one that the table has more of than the mean.
constexpr size_t kTableCutoff = 1;

double Milliseconds(std::chrono::nanoseconds duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

double EventsPerSecond(const EvaluationReport& report) {
  return static_cast<double>(report.test_events) / std::max(report.test_seconds, 1e-9);
}

// ".6604", as tables of quality have it.
std::string Share(double share) {
  if (!std::isfinite(share)) return "?";
  const std::string text = fmt::format("{:.4f}", share);
  return share < 1 ? text.substr(1) : text;
}

ordered_json ToJson(const Estimate& estimate) {
  ordered_json json = {{"mean", estimate.mean}, {"low", nullptr}, {"high", nullptr}};
  if (std::isfinite(estimate.half_width)) {
    json["low"] = estimate.mean - estimate.half_width;
    json["high"] = estimate.mean + estimate.half_width;
  }
  return json;
}

double HitRateOfNewItems(const EvaluatedListReport& list, size_t cutoff) {
  return static_cast<double>(list.new_item_hits[cutoff]) /
         static_cast<double>(std::max<uint64_t>(list.new_items, 1));
}

ordered_json ToJson(const EvaluatedListReport& list) {
  const ListMetrics::Summary summary = list.metrics.Summarise();
  ordered_json json = {{"name", list.name}, {"events", summary.events}, {"users", summary.users}};
  for (size_t at = 0; at < ListMetrics::kCutoffs.size(); ++at) {
    const std::string cutoff = std::to_string(ListMetrics::kCutoffs[at]);
    json["hit_rate"][cutoff] = ToJson(summary.hit_rate[at]);
    json["ndcg"][cutoff] = ToJson(summary.ndcg[at]);
  }
  json["mrr"] = ToJson(summary.mrr);
  json["new_items"]["events"] = list.new_items;
  for (size_t at = 0; at < ListMetrics::kCutoffs.size(); ++at) {
    json["new_items"]["hit_rate"][std::to_string(ListMetrics::kCutoffs[at])] =
        HitRateOfNewItems(list, at);
  }
  json["empty"] = list.empty;
  json["degraded"] = list.degraded;
  json["stale"] = list.stale;
  json["unknown_user"] = list.unknown_user;
  json["not_ranked"] = list.not_ranked;
  json["failed"] = list.failed;
  for (const double share : kQuantiles) {
    json["server_ms"][fmt::format("p{:g}", share * 100)] =
        Milliseconds(list.server_time.Quantile(share));
  }
  return json;
}

ordered_json SettingsJson(const EvaluationResult& result) {
  const EvaluationOptions& options = result.options;
  ordered_json json = {{"log", result.log},
                       {"mode", options.frozen ? "frozen" : "live"},
                       {"test_from", nullptr},
                       {"test_from_record", options.test_from_record},
                       {"test_events", nullptr},
                       {"every", options.every},
                       {"seed", options.seed},
                       {"visit_gap_s", options.visit_gap.count()},
                       {"first_only", options.first_only},
                       {"include_seen", result.lists.options().include_seen},
                       {"ingest_first", options.ingest_first},
                       {"create_items", options.create_items}};
  if (options.test_from_us.has_value()) {
    json["test_from"] =
        TimeUtil::ToString(TimeUtil::MicrosecondsToTimestamp(*options.test_from_us));
  }
  if (options.test_events != std::numeric_limits<uint64_t>::max()) {
    json["test_events"] = options.test_events;
  }
  return json;
}

ordered_json ServerJson(const v1::ServerStatus& server) {
  return {{"version", server.server_version()},
          {"snapshot", server.snapshot().version()},
          {"snapshot_digest", server.snapshot().digest()},
          {"index_kind", server.index_kind()},
          {"newest_event_time", TimeUtil::ToString(server.graph().newest_event_time())},
          {"applied_offset", server.graph().applied_offset()},
          {"configuration", server.configuration()}};
}

std::string ListTable(const EvaluatedLists& lists) {
  std::vector<Table::Column> columns = {{.title = "list"}};
  for (const char* metric : {"HR", "NDCG"}) {
    for (const size_t cutoff : ListMetrics::kCutoffs) {
      columns.push_back({.title = fmt::format("{}@{}", metric, cutoff), .right = true});
      if (cutoff == ListMetrics::kCutoffs[kTableCutoff])
        columns.push_back({.title = "+-", .right = true});
    }
  }
  const std::string of_new_items = fmt::format("new HR@{}", ListMetrics::kCutoffs[kTableCutoff]);
  for (const std::string& title :
       std::vector<std::string>{"MRR", of_new_items, "empty", "degraded", "stale", "failed",
                                "no user", "unranked", "p50 ms"}) {
    columns.push_back({.title = title, .right = true});
  }
  Table table(std::move(columns));
  for (const EvaluatedListReport& list : lists.reports()) {
    const ListMetrics::Summary summary = list.metrics.Summarise();
    std::vector<std::string> cells = {list.name};
    for (const auto* metric : {&summary.hit_rate, &summary.ndcg}) {
      for (size_t at = 0; at < metric->size(); ++at) {
        cells.push_back(Share((*metric)[at].mean));
        if (at == kTableCutoff) cells.push_back(Share((*metric)[at].half_width));
      }
    }
    cells.push_back(Share(summary.mrr.mean));
    cells.push_back(Share(HitRateOfNewItems(list, kTableCutoff)));
    for (const uint64_t count :
         {list.empty, list.degraded, list.stale, list.failed, list.unknown_user, list.not_ranked}) {
      cells.push_back(std::to_string(count));
    }
    cells.push_back(fmt::format("{:.2f}", Milliseconds(list.server_time.Quantile(0.5))));
    table.AddRow(std::move(cells));
  }
  return table.ToString();
}

}  // namespace

std::string EvaluationTable(const EvaluationResult& result) {
  const EvaluationReport& report = result.report;
  std::string text = ListTable(result.lists);
  text += fmt::format(
      "\n{}: {} of {} test events asked for behind {} events, {} on items not in the catalogue\n",
      result.options.frozen ? "frozen" : "live", report.asked_events, report.test_events,
      report.records_before, report.unknown_items);
  text += fmt::format(
      "ingested: {} accepted, {} duplicates, {} refused, {} items created, {} bad records\n",
      report.accepted, report.duplicates, report.refused, report.created_items, report.bad_records);
  for (const std::string& reason : report.reasons) text += fmt::format("  refused: {}\n", reason);
  text += fmt::format(
      "{:.0f} test events/s: {:.1f} s, of them {:.1f} waiting for lists, {:.1f} for "
      "acknowledgements; {} calls repeated\n",
      EventsPerSecond(report), report.test_seconds, report.ask_seconds, report.ingest_seconds,
      result.lists.asked_again());
  text += fmt::format("{}; +- is half of the 95% interval, by user\n",
                      report.server.snapshot().version());
  for (const std::string& warning : report.warnings) text += fmt::format("warning: {}\n", warning);
  if (result.interrupted) text += "interrupted: the figures are those of the events until then\n";
  return text;
}

std::string EvaluationJson(const EvaluationResult& result) {
  const EvaluationReport& report = result.report;
  ordered_json json = {{"settings", SettingsJson(result)},
                       {"server", ServerJson(report.server)},
                       {"interrupted", result.interrupted},
                       {"warnings", report.warnings},
                       {"records_before", report.records_before},
                       {"test_events", report.test_events},
                       {"asked_events", report.asked_events},
                       {"unknown_items", report.unknown_items},
                       {"created_items", report.created_items},
                       {"bad_records", report.bad_records},
                       {"out_of_order", report.out_of_order},
                       {"accepted", report.accepted},
                       {"duplicates", report.duplicates},
                       {"refused", report.refused},
                       {"reasons", report.reasons},
                       {"asked_again", result.lists.asked_again()},
                       {"test_seconds", report.test_seconds},
                       {"ask_seconds", report.ask_seconds},
                       {"ingest_seconds", report.ingest_seconds},
                       {"test_events_per_second", EventsPerSecond(report)}};
  json["lists"] = ordered_json::array();
  for (const EvaluatedListReport& list : result.lists.reports())
    json["lists"].push_back(ToJson(list));
  return json.dump();
}

}  // namespace groundswell
