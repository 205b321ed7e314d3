#include "csv/item_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "csv/column_search.h"
#include "csv/event_time.h"
#include "csv/foreign_format.h"
#include "csv/json_line.h"
#include "csv/utf8.h"

namespace groundswell {
namespace {

constexpr std::array<std::string_view, kItemFieldCount> kItemFlags = {
    "--item", "--title", "--category", "--embedding", "--available-from", "--available-until"};

constexpr size_t kItemNamesMax = 22;
using ItemNames = std::array<std::string_view, kItemNamesMax>;
// As PlainName has them, the best first; the trainer reads items by the same.
constexpr std::array<ItemNames, kItemFieldCount> kItemNames = {
    ItemNames{"item",      "itemid",  "iid",       "sku",       "product", "productid", "movie",
              "movieid",   "article", "articleid", "newsid",    "asin",    "isbn",      "bookid",
              "stockcode", "trackid", "songid",    "contentid", "gameid",  "videoid",   "id"},
    ItemNames{"title", "description", "name", "itemname", "productname", "itemtitle", "headline"},
    ItemNames{"category", "categoryname", "maincategory", "categories", "genre", "genres",
              "department", "categoryid"},
    ItemNames{"embedding", "vector", "itemvector", "itemembedding", "features"},
    ItemNames{"availablefrom"},
    ItemNames{"availableuntil"}};

size_t RankOfItem(std::string_view column, size_t field) {
  return PlaceAmong(kItemNames[field], column);
}

constexpr ColumnFields kColumnFieldsOfItems = {
    .names = kItemFields, .flags = kItemFlags, .rank = RankOfItem};

bool IsItemName(std::string_view column) {
  for (size_t field = 0; field < kItemFieldCount; ++field) {
    if (RankOfItem(column, field) != kNoColumn) return true;
  }
  return false;
}

// nullopt when a number is none.
std::optional<std::vector<float>> ParseNumbers(std::string_view text) {
  constexpr std::string_view kBetween = " ,;|[]\t";
  std::vector<float> numbers;
  for (size_t begin = text.find_first_not_of(kBetween); begin != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kBetween, begin), text.size());
    float number = 0;
    const auto [rest, error] =
        std::from_chars(text.data() + begin, text.data() + end, number, std::chars_format::general);
    if (error != std::errc() || rest != text.data() + end) return std::nullopt;
    numbers.push_back(number);
    begin = text.find_first_not_of(kBetween, end);
  }
  return numbers;
}

// Whether it is what JSON's numbers hold about, which is no id.
bool IsNoId(const nlohmann::json& value) { return value.is_number_float() || value.is_boolean(); }

// A JSON value as the text that a CSV field would hold, an array's joined by ", "; nullopt for
// objects.
std::optional<std::string> TextOfJson(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  if (value.is_null()) return "";
  if (!value.is_array()) return std::nullopt;
  std::string joined;
  for (const nlohmann::json& one : value) {
    if (one.is_array()) return std::nullopt;
    const std::optional<std::string> text = TextOfJson(one);
    if (!text.has_value()) return std::nullopt;
    joined += (joined.empty() ? "" : ", ") + *text;
  }
  return joined;
}

}  // namespace

ItemReader::ItemReader(std::istream& input, Options options)
    : input_(input), options_(std::move(options)) {}

ItemReader::~ItemReader() = default;

uint64_t ItemReader::bytes_read() const {
  return csv_ != nullptr ? csv_->bytes_read() : json_bytes_;
}

std::string_view ItemReader::NameIn(ItemField field) const {
  return names_[field].empty() ? kItemFields[field] : std::string_view(names_[field]);
}

absl::Status ItemReader::Bad(ItemField field, std::string_view value,
                             std::string_view remedy) const {
  return absl::InvalidArgumentError(
      fmt::format("record {}: {} is {}; {}", record_, NameIn(field), ShownText(value), remedy));
}

absl::Status ItemReader::FindColumns(const std::vector<std::string>& header) {
  columns_ = header.size();
  positions_.fill(kNoColumn);
  const std::vector<std::string_view> names(header.begin(), header.end());
  for (size_t field = 0; field < kItemFieldCount; ++field) {
    const size_t position = FindColumn(names, options_.columns, field, kColumnFieldsOfItems);
    positions_[field] = position;
    absl::Status status = CheckFound(names, options_.columns, position, field,
                                     field == kItemIdField, kColumnFieldsOfItems);
    if (status.ok()) status = CheckOnce(names, position, field, kColumnFieldsOfItems);
    if (status.ok()) status = CheckApart(names, positions_, field, kColumnFieldsOfItems);
    if (!status.ok()) return status;
    if (position != kNoColumn) names_[field] = header[position];
  }
  return CheckSaysMore(names);
}

absl::Status ItemReader::CheckSaysMore(std::span<const std::string_view> found) const {
  const auto is_named = [](const std::string& name) { return !name.empty(); };
  if (options_.ids_alone || std::any_of(names_.begin() + kTitleField, names_.end(), is_named)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("nothing is said of an item but its {}; found are {}. Name the column of the "
                  "title with --title, of the category with --category; or --ids-alone: then items "
                  "have no title and no category, and those that are there lose theirs",
                  NameIn(kItemIdField), ListOf(found)));
}

absl::Status ItemReader::Begin() {
  begun_ = true;
  const std::optional<std::string> first = input_.FirstLine(kLogLineBytesMax);
  if (absl::Status s = CheckIsText(input_.looked_at()); !s.ok()) return s;
  if (input_.failed()) return absl::DataLossError(std::string(kUnreadableLog));
  if (!first.has_value()) {
    return absl::DataLossError(fmt::format("a line is longer than {} bytes", kLogLineBytesMax));
  }
  const size_t begin = first->find_first_not_of(" \t\r\n");
  const char mark = begin == std::string::npos ? '\0' : (*first)[begin];
  if (options_.format == LogFileFormat::kAuto && mark == '[') {
    return absl::InvalidArgumentError("the file is a JSON array; it must have one object a line");
  }
  const bool is_json = options_.format == LogFileFormat::kJsonLines ||
                       (options_.format == LogFileFormat::kAuto && mark == '{');
  if (is_json) {
    names_ = options_.columns;
    return CheckNamedApart(options_.columns, kItemFieldCount, kColumnFieldsOfItems);
  }
  const std::string_view separator = SeparatorOf(*first, IsItemName);
  if (separator.size() > 1) {
    return absl::InvalidArgumentError(fmt::format(
        "the fields are separated by {}; of items, they must be by , ; tab or |", separator));
  }
  csv_ = std::make_unique<CsvReader>(input_.stream(), separator.front());
  if (!options_.header.empty()) return FindColumns(options_.header);
  const auto header = csv_->Next();
  if (!header.ok()) return header.status();
  if (!header->has_value()) {
    return absl::DataLossError("the input is empty; a CSV of items begins with a header");
  }
  return FindColumns({(*header)->begin(), (*header)->end()});
}

absl::StatusOr<std::optional<ItemReader::Texts>> ItemReader::NextCsv() {
  const auto record = csv_->Next();
  if (!record.ok()) return fatal_ = record.status();
  if (!record->has_value()) return std::nullopt;
  ++record_;
  const std::span<const std::string_view> fields = **record;
  if (fields.size() != columns_) {
    return absl::InvalidArgumentError(
        fmt::format("record {}: it has {} fields and the header {}; put quotation marks around a "
                    "value with a separator",
                    record_, fields.size(), columns_));
  }
  Texts texts;
  for (size_t field = 0; field < kItemFieldCount; ++field) {
    if (positions_[field] != kNoColumn) texts[field] = fields[positions_[field]];
  }
  return texts;
}

absl::StatusOr<std::optional<ItemReader::Texts>> ItemReader::NextJson() {
  std::string line;
  do {
    const absl::StatusOr<bool> read = ReadLine(input_.stream(), line);
    if (!read.ok()) return fatal_ = read.status();
    if (!*read) return std::nullopt;
    if (json_bytes_ == 0 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    json_bytes_ += line.size() + 1;
  } while (line.find_first_not_of(" \t\r") == std::string::npos);
  ++record_;
  const JsonLine parsed = ParseJsonLine(line);
  const nlohmann::json& object = parsed.value;
  if (!object.is_object()) {
    return absl::InvalidArgumentError(fmt::format(
        "record {}: the line is {}; it must be one JSON object", record_, ShownText(line)));
  }
  std::vector<std::string_view> keys;
  keys.reserve(object.size());
  for (auto at = object.begin(); at != object.end(); ++at) keys.push_back(at.key());
  Texts texts;
  for (size_t field = 0; field < kItemFieldCount; ++field) {
    const size_t at = FindColumn(keys, options_.columns, field, kColumnFieldsOfItems);
    if (at == kNoColumn) continue;
    names_[field] = keys[at];
    if (parsed.HasTwice(keys[at])) {
      return absl::InvalidArgumentError(
          fmt::format("record {}: the key {} is there more than once, and holds the {}", record_,
                      ShownText(keys[at]), kItemFields[field]));
    }
    if (field == kItemIdField && IsNoId(object[keys[at]])) {
      return Bad(kItemIdField, object[keys[at]].dump(),
                 "it must be a string, or a whole number below 2^64 (others as strings)");
    }
    std::optional<std::string> text = TextOfJson(object[keys[at]]);
    if (!text.has_value()) {
      return Bad(static_cast<ItemField>(field), object[keys[at]].type_name(),
                 "it must be a string, a number, or an array of these");
    }
    texts[field] = *std::move(text);
  }
  if (const absl::Status s = CheckSaysMore(keys); !s.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("record {}: {}", record_, std::string(s.message())));
  }
  return texts;
}

absl::StatusOr<ItemRecord> ItemReader::MakeItem(Texts texts) const {
  for (size_t field = 0; field < kItemFieldCount; ++field) {
    if (!IsUtf8(texts[field]))
      return Bad(static_cast<ItemField>(field), texts[field], "it must be UTF-8");
  }
  if (texts[kItemIdField].empty()) return Bad(kItemIdField, "", "it must not be empty");
  ItemRecord item{.record = record_};
  std::optional<std::vector<float>> numbers = ParseNumbers(texts[kEmbeddingField]);
  if (!numbers.has_value()) {
    return Bad(kEmbeddingField, texts[kEmbeddingField], "it must be numbers, such as [0.25, -1.5]");
  }
  item.embedding = *std::move(numbers);
  for (const ItemField field : {kAvailableFromField, kAvailableUntilField}) {
    if (texts[field].empty()) continue;
    const absl::StatusOr<EventTime> time = ParseSingleTime(texts[field]);
    if (!time.ok()) return Bad(field, texts[field], std::string(time.status().message()));
    (field == kAvailableFromField ? item.available_from_us : item.available_until_us) = time->us;
  }
  item.id = std::move(texts[kItemIdField]);
  item.title = std::move(texts[kTitleField]);
  item.category = std::move(texts[kCategoryField]);
  return item;
}

absl::StatusOr<std::optional<ItemRecord>> ItemReader::Next() {
  if (!begun_) fatal_ = Begin();
  if (!fatal_.ok()) return fatal_;
  absl::StatusOr<std::optional<Texts>> texts = csv_ != nullptr ? NextCsv() : NextJson();
  if (!texts.ok()) return texts.status();
  if (!texts->has_value()) return std::nullopt;
  absl::StatusOr<ItemRecord> item = MakeItem(**std::move(texts));
  if (!item.ok()) return item.status();
  return *std::move(item);
}

}  // namespace groundswell
