// upsert-items: a catalogue from a file to the server.
#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/commands/admin_call.h"
#include "client/commands/commands.h"
#include "client/items/item_sender.h"
#include "client/terminal/progress_bar.h"
#include "csv/item_reader.h"
#include "csv/log_input.h"
#include "program/terminal_text.h"

namespace groundswell {
namespace {

struct ItemFlags {
  std::string file;
  std::string format = "auto";
  ItemColumns columns;
  std::vector<std::string> header;
  size_t batch_size = 500;
  int64_t retry_for_s = 60;
  bool skip_bad_records = false;
  bool ids_alone = false;
};

ItemReader::Options ReaderOptionsOf(const ItemFlags& flags) {
  ItemReader::Options options{
      .columns = flags.columns, .header = flags.header, .ids_alone = flags.ids_alone};
  if (flags.format == "csv") options.format = LogFileFormat::kCsv;
  if (flags.format == "jsonl") options.format = LogFileFormat::kJsonLines;
  return options;
}

v1::UpsertItemRequest RequestOf(ItemRecord item) {
  using google::protobuf::util::TimeUtil;
  v1::UpsertItemRequest request;
  request.set_request_id(NewRequestId());
  request.set_item_id(std::move(item.id));
  request.set_title(std::move(item.title));
  request.set_category(std::move(item.category));
  request.mutable_embedding()->Add(item.embedding.begin(), item.embedding.end());
  if (item.available_from_us.has_value()) {
    *request.mutable_available_from() = TimeUtil::MicrosecondsToTimestamp(*item.available_from_us);
  }
  if (item.available_until_us.has_value()) {
    *request.mutable_available_until() =
        TimeUtil::MicrosecondsToTimestamp(*item.available_until_us);
  }
  return request;
}

// Records that are no items.
struct BadRecords {
  uint64_t count = 0;
  GroupedReasons reasons;
};

// Sends every item until the end, an error, or an interruption.
absl::Status SendItems(const ItemFlags& flags, const LogInput& input, ItemReader& reader,
                       ItemSender& sender, BadRecords& bad, ProgressBar& bar) {
  uint64_t read = 0;
  while (!Interrupted()) {
    absl::StatusOr<std::optional<ItemRecord>> item = reader.Next();
    if (!item.ok()) {
      absl::Status damage = input.damage();
      if (reader.ended() && !damage.ok()) return damage;
      if (reader.ended() || !flags.skip_bad_records) return item.status();
      ++bad.count;
      bad.reasons.Add(std::string(item.status().message()));
      continue;
    }
    if (!item->has_value()) return absl::OkStatus();
    if (absl::Status s = sender.Send(RequestOf(**std::move(item))); !s.ok()) return s;
    if (++read % flags.batch_size == 0) {
      bar.Update(input.compressed_bytes_read().value_or(reader.bytes_read()),
                 fmt::format("{} items answered", sender.totals().sum()));
    }
  }
  return absl::CancelledError("interrupted");
}

// Which columns were taken, by what they are: what has none is empty in every item from here on.
nlohmann::ordered_json ColumnsOf(const ItemColumns& names) {
  nlohmann::ordered_json columns = nlohmann::ordered_json::object();
  for (size_t field = 0; field < kItemFieldCount; ++field) {
    if (!names[field].empty()) columns[std::string(kItemFields[field])] = names[field];
  }
  return columns;
}

void PrintColumns(const ItemColumns& names) {
  if (names[kItemIdField].empty()) return;
  std::string taken;
  for (size_t field = 0; field < kItemFieldCount; ++field) {
    if (names[field].empty()) continue;
    taken += fmt::format("{}{} from {}", taken.empty() ? "" : ", ", kItemFields[field],
                         TerminalText(names[field]));
  }
  fmt::print("read: {}\n", taken);
  for (const ItemField field : {kTitleField, kCategoryField}) {
    if (names[field].empty()) {
      fmt::print("no column of a {}: these items have none now\n", kItemFields[field]);
    }
  }
}

void PrintTotals(const CommandContext& context, const ItemColumns& names,
                 const ItemSender::Totals& totals, const BadRecords& bad, double seconds) {
  const double rate = static_cast<double>(totals.sum()) / std::max(seconds, 1e-9);
  std::vector<std::string> reasons = totals.reasons.ToStrings();
  for (std::string& reason : bad.reasons.ToStrings()) reasons.push_back(std::move(reason));
  if (context.json) {
    const nlohmann::ordered_json summary = {
        {"created", totals.created},         {"replaced", totals.replaced},
        {"duplicates", totals.duplicates},   {"refused", totals.refused},
        {"bad_records", bad.count},          {"reasons", reasons},
        {"last_offset", totals.last_offset}, {"consistency_token", totals.consistency_token},
        {"interrupted", Interrupted()},      {"items_per_second", rate},
        {"columns", ColumnsOf(names)}};
    fmt::print("{}\n", summary.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  fmt::print("{} created, {} replaced, {} refused, {} bad records, {:.0f} items/s\n",
             totals.created, totals.replaced, totals.refused, bad.count, rate);
  PrintColumns(names);
  for (const std::string& reason : reasons) fmt::print("  refused: {}\n", TerminalText(reason));
  if (totals.duplicates > 0) {
    fmt::print("{} were sent again and had been done already\n", totals.duplicates);
  }
  if (Interrupted()) fmt::print("interrupted; run it again: what was done is done again alike\n");
}

void UpsertItems(const ItemFlags& flags, CommandContext& context) {
  LogInput input;
  if (absl::Status s = input.Open(flags.file); !s.ok()) return context.Fail(s);
  ItemReader reader(input.stream(), ReaderOptionsOf(flags));
  Client client = context.MakeClient();
  ItemSender sender(client, {.batch_size = flags.batch_size,
                             .retry_for = std::chrono::seconds(flags.retry_for_s),
                             .stopped = Interrupted});
  ProgressBar bar("upsert-items", input.bytes());
  const auto begin = std::chrono::steady_clock::now();
  BadRecords bad;
  absl::Status status = SendItems(flags, input, reader, sender, bad, bar);
  // What was good before an error still counts.
  const bool may_go_on = status.ok() || absl::IsInvalidArgument(status) || absl::IsDataLoss(status);
  if (const absl::Status flushed = may_go_on ? sender.Flush() : status; status.ok()) {
    status = flushed;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  bar.Finish(input.compressed_bytes_read().value_or(reader.bytes_read()),
             fmt::format("{} items answered", sender.totals().sum()));
  PrintTotals(context, reader.names(), sender.totals(), bad, elapsed.count());
  if (!status.ok() && !Interrupted()) return context.Fail(status);
  if (sender.totals().refused > 0 || Interrupted()) context.exit_code = kExitError;
}

}  // namespace

void AddUpsertItemsCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "upsert-items", "Creates or replaces the items of a file: upsert-item for a whole catalogue");
  auto flags = std::make_shared<ItemFlags>();
  command
      .add_option("file", flags->file,
                  "CSV (separated by , ; tab or |) or JSON lines, also as .gz or .zst; - for "
                  "standard input")
      ->required();
  command.add_option("--item", flags->columns[kItemIdField],
                     "Column (CSV) or key (JSON) of the item; without it, by the names in use");
  command.add_option("--title", flags->columns[kTitleField], "Likewise, of the title");
  command.add_option("--category", flags->columns[kCategoryField], "Likewise, of the category");
  command.add_option("--embedding", flags->columns[kEmbeddingField],
                     "Likewise, of the vector: numbers between blanks or commas, or a JSON array; "
                     "an item without one keeps what it has");
  command.add_option("--available-from", flags->columns[kAvailableFromField],
                     "Likewise, of the time from which on it is answered");
  command.add_option("--available-until", flags->columns[kAvailableUntilField],
                     "Likewise, of the time until which it is");
  command
      .add_option("--columns", flags->header,
                  "The names of the columns, in their order, where the file has no header")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--format", flags->format, "How to read the file")
      ->check(CLI::IsMember({"auto", "csv", "jsonl"}))
      ->capture_default_str();
  command.add_option("--batch-size", flags->batch_size, "Items in a message")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  command
      .add_option("--retry-for-s", flags->retry_for_s,
                  "Try so long while the server is away or full")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str();
  command.add_flag("--ids-alone", flags->ids_alone,
                   "Also where the file says nothing of items but their ids: those that are there "
                   "lose their titles and categories");
  command.add_flag("--skip-bad-records", flags->skip_bad_records,
                   "Leave out records that are no items, and count them");
  command.footer("Example:\n  groundswell upsert-items items.csv");
  command.callback([flags, &context] { UpsertItems(*flags, context); });
}

}  // namespace groundswell
