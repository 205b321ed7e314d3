#include "csv/log_sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "csv/json_line.h"
#include "csv/utf8.h"

namespace groundswell {
namespace {

constexpr std::string_view kSeparators[] = {",", ";", "\t", "|", "::"};

void DropLineEnd(std::string& line) {
  if (line.ends_with('\r')) line.pop_back();
}

// Of a first line: what is around its text.
void DropMarks(std::string& line) {
  DropLineEnd(line);
  if (line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
}

LogRecord OtherFields(size_t fields, size_t columns) {
  LogRecord record;
  record.wrong = fmt::format(
      "it has {} fields and the header {}; put quotation marks around a value with a "
      "separator",
      fields, columns);
  record.reason = "another number of fields than the header";
  return record;
}

LogRecord BrokenQuotation(std::string_view line) {
  LogRecord record;
  record.wrong = fmt::format(
      "the line is {}; a field that begins with a quotation mark must end with one, and have those "
      "within twice",
      ShownText(line));
  record.reason = "a quotation that is broken or not closed";
  return record;
}

// What CSV files have in common: which column holds what.
class ColumnSource : public RecordSource {
 public:
  ColumnSource(std::vector<std::string> header, const ColumnPositions& positions)
      : header_(std::move(header)), positions_(positions) {}

  std::string_view ColumnOf(LogField field) const override {
    return positions_[field] == kNoColumn ? std::string_view() : header_[positions_[field]];
  }

 protected:
  // Whether a record has the column at this place.
  bool Takes(size_t at) const { return std::ranges::find(positions_, at) != positions_.end(); }

  template <typename Text>
  LogRecord ToRecord(std::span<const Text> fields) const {
    if (fields.size() != header_.size()) return OtherFields(fields.size(), header_.size());
    LogRecord record;
    for (size_t i = 0; i < kLogFieldCount; ++i) {
      if (positions_[i] != kNoColumn) record.fields[i] = fields[positions_[i]];
    }
    return record;
  }

 private:
  const std::vector<std::string> header_;
  const ColumnPositions positions_;
};

class CsvSource final : public ColumnSource {
 public:
  CsvSource(std::istream& input, char separator, std::vector<std::string> header,
            bool header_is_there, const ColumnPositions& positions)
      : ColumnSource(std::move(header), positions),
        reader_(input, separator),
        skip_header_(header_is_there) {}

  absl::StatusOr<std::optional<LogRecord>> Next() override {
    auto record = reader_.Next();
    if (std::exchange(skip_header_, false) && record.ok() && record->has_value()) {
      record = reader_.Next();
    }
    if (!record.ok()) return record.status();
    if (!record->has_value()) return std::nullopt;
    return ToRecord<std::string_view>(**record);
  }
  uint64_t bytes_read() const override { return reader_.bytes_read(); }

 private:
  CsvReader reader_;
  bool skip_header_;
};

// Lines without quotations that could hold a separator.
class PlainSource final : public ColumnSource {
 public:
  PlainSource(std::istream& input, std::string_view separator, std::vector<std::string> header,
              bool header_is_there, const ColumnPositions& positions)
      : ColumnSource(std::move(header), positions),
        input_(input),
        separator_(separator),
        skip_header_(header_is_there) {}

  absl::StatusOr<std::optional<LogRecord>> Next() override {
    while (true) {
      const absl::StatusOr<bool> read = ReadLine(input_, line_);
      if (!read.ok()) return read.status();
      if (!*read) return std::nullopt;
      bytes_read_ += line_.size() + 1;
      DropLineEnd(line_);
      if (line_.empty() || std::exchange(skip_header_, false)) continue;
      std::vector<size_t> broken;
      const std::vector<std::string> fields = SplitLine(line_, separator_, &broken);
      if (std::ranges::any_of(broken, [this](size_t at) { return Takes(at); })) {
        return BrokenQuotation(line_);
      }
      return ToRecord<std::string>(fields);
    }
  }
  uint64_t bytes_read() const override { return bytes_read_; }

 private:
  std::istream& input_;
  const std::string separator_;
  bool skip_header_;
  std::string line_;
  uint64_t bytes_read_ = 0;
};

// Ids and names of types: not the text of a fraction nor of a number beyond 64 bits, which JSON's
// numbers hold about.
bool IsName(LogField field) {
  return field == kUserField || field == kItemField || field == kTypeField ||
         field == kEventIdField;
}

// A JSON value as the text that a CSV field would hold; nullopt for what holds none.
std::optional<std::string> TextOf(LogField field, const nlohmann::json& value) {
  if (IsName(field) && (value.is_number_float() || value.is_boolean())) return std::nullopt;
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  if (value.is_null()) return "";
  return std::nullopt;
}

// Of arrays and objects not what they hold, which may be much.
std::string ShownOf(const nlohmann::json& value) {
  if (value.is_structured()) return fmt::format("\"{}\"", value.type_name());
  return ShownText(value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

class JsonSource final : public RecordSource {
 public:
  JsonSource(std::istream& input, const LogColumns& named)
      : input_(input), named_(named), names_(named) {}

  absl::StatusOr<std::optional<LogRecord>> Next() override {
    const absl::StatusOr<bool> read = ReadLine(input_, line_);
    if (!read.ok()) return read.status();
    if (!*read) return std::nullopt;
    if (bytes_read_ == 0 && line_.starts_with(kByteOrderMark)) {
      line_.erase(0, kByteOrderMark.size());
    }
    bytes_read_ += line_.size() + 1;
    const JsonLine parsed = ParseJsonLine(line_);
    LogRecord record;
    if (parsed.value.is_object()) {
      Take(parsed, record);
    } else {
      record.wrong = fmt::format("the line is {}; it must be one JSON object", ShownText(line_));
      record.reason = "no JSON object";
    }
    return record;
  }
  uint64_t bytes_read() const override { return bytes_read_; }
  std::string_view ColumnOf(LogField field) const override { return names_[field]; }

 private:
  void Take(const JsonLine& parsed, LogRecord& record) {
    const nlohmann::json& object = parsed.value;
    for (size_t i = 0; i < kLogFieldCount; ++i) {
      const auto field = static_cast<LogField>(i);
      if (names_[field].empty()) names_[field] = FindName(object, field);
      if (names_[field].empty()) {
        if (field < kRequiredFields && record.wrong.empty()) MissKey(object, field, record);
        continue;
      }
      const auto at = object.find(names_[field]);
      if (at == object.end()) continue;
      // A rating is read where a least one is asked for.
      const bool is_read = field != kRatingField || !named_[field].empty();
      if (is_read && parsed.HasTwice(names_[field])) {
        record.wrong = fmt::format("the key {} is there more than once, and holds the {}",
                                   ShownText(names_[field]), NameOf(field));
        record.reason = fmt::format("{} more than once", names_[field]);
        return;
      }
      std::optional<std::string> text = TextOf(field, *at);
      if (!text.has_value()) {
        record.wrong =
            fmt::format("{} is {}; it must be {}", names_[field], ShownOf(*at),
                        IsName(field) ? "a string, or a whole number below 2^64 (others as strings)"
                                      : "a string, a number or a boolean");
        record.reason = fmt::format("a {} that is no text", names_[field]);
        return;
      }
      record.fields[field] = *std::move(text);
    }
  }

  static void MissKey(const nlohmann::json& object, LogField field, LogRecord& record) {
    record.wrong =
        fmt::format("no key is known to hold the {}; the keys are {}: say which it is with {} KEY",
                    NameOf(field), KeysOf(object), FlagOf(field));
    record.reason = fmt::format("no {}", NameOf(field));
  }

  // Of the keys that are not named for another field; but a rating may be the weight, too.
  std::string FindName(const nlohmann::json& object, LogField field) const {
    std::string name;
    size_t best = kNoColumn;
    for (const auto& [key, value] : object.items()) {
      const size_t rank = RankOf(key, field);
      const bool is_named = std::ranges::find(named_, key) != named_.end();
      if (rank >= best || (is_named && field != kRatingField)) continue;
      best = rank;
      name = key;
    }
    return name;
  }
  static std::string KeysOf(const nlohmann::json& object) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : object.items()) keys.push_back(key);
    return ListOf(std::vector<std::string_view>(keys.begin(), keys.end()));
  }

  std::istream& input_;
  const LogColumns named_;
  LogColumns names_;
  std::string line_;
  uint64_t bytes_read_ = 0;
};

// What a field with a quotation mark at its beginning holds; nullopt: it is not one quotation.
std::optional<std::string> Unquote(std::string_view field) {
  std::string text;
  for (size_t at = 1; at < field.size(); ++at) {
    if (field[at] != '"') {
      text.push_back(field[at]);
    } else if (at + 1 == field.size()) {
      return text;
    } else if (field[++at] == '"') {
      text.push_back('"');
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<bool> ReadLine(std::istream& input, std::string& line) {
  line.clear();
  char byte = 0;
  while (input.get(byte) && byte != '\n') {
    line.push_back(byte);
    if (line.size() > kLogLineBytesMax) {
      return absl::DataLossError(fmt::format("a line is longer than {} bytes", kLogLineBytesMax));
    }
  }
  if (input.bad()) return absl::DataLossError(std::string(kUnreadableLog));
  return !(line.empty() && !input);
}

// What was looked at first, then the rest; no more at once than is there, since a pipe's writer may
// be a while with more.
class LogFront::Buffer final : public std::streambuf {
 public:
  explicit Buffer(std::streambuf& rest) : rest_(rest) {}

  std::string& front() { return front_; }

 protected:
  int_type underflow() override {
    if (!front_.empty()) {
      chunk_ = std::exchange(front_, {});
    } else {
      const int_type next = rest_.sgetc();
      if (traits_type::eq_int_type(next, traits_type::eof())) return next;
      const auto there = std::clamp<std::streamsize>(rest_.in_avail(), 1, kChunkBytes);
      chunk_.resize(static_cast<size_t>(there));
      chunk_.resize(static_cast<size_t>(rest_.sgetn(chunk_.data(), there)));
    }
    setg(chunk_.data(), chunk_.data(), chunk_.data() + chunk_.size());
    return traits_type::to_int_type(chunk_[0]);
  }
  std::streamsize showmanyc() override {
    return front_.empty() ? rest_.in_avail() : std::ssize(front_);
  }

 private:
  static constexpr std::streamsize kChunkBytes = 65'536;
  std::streambuf& rest_;
  std::string front_;
  std::string chunk_;
};

LogFront::LogFront(std::istream& input)
    : input_(input),
      buffer_(std::make_unique<Buffer>(*input.rdbuf())),
      stream_(std::make_unique<std::istream>(buffer_.get())) {}
LogFront::~LogFront() = default;

std::string_view LogFront::looked_at() const { return buffer_->front(); }

std::optional<std::string> LogFront::FirstLine(size_t bytes_max) {
  std::string& front = buffer_->front();
  std::string line;
  char byte = 0;
  // What fails here fails again when it is read.
  while (front.size() <= bytes_max && input_.get(byte)) {
    front.push_back(byte);
    if (byte != '\n') {
      line.push_back(byte);
      continue;
    }
    DropMarks(line);
    if (line.find_first_not_of(" \t") != std::string::npos) break;
    line.clear();
  }
  if (front.size() > bytes_max) return std::nullopt;
  DropMarks(line);
  return line;
}

std::unique_ptr<RecordSource> MakeCsvSource(std::istream& input, std::string_view separator,
                                            std::vector<std::string> header, bool header_is_there,
                                            const ColumnPositions& positions) {
  if (separator == "::" || separator == "\t") {
    return std::make_unique<PlainSource>(input, separator, std::move(header), header_is_there,
                                         positions);
  }
  return std::make_unique<CsvSource>(input, separator[0], std::move(header), header_is_there,
                                     positions);
}

std::unique_ptr<RecordSource> MakeJsonSource(std::istream& input, const LogColumns& named) {
  return std::make_unique<JsonSource>(input, named);
}

std::vector<std::string> SplitLine(std::string_view line, std::string_view separator,
                                   std::vector<size_t>* broken) {
  std::vector<std::string> fields;
  while (true) {
    const size_t end = std::min(line.find(separator), line.size());
    std::string_view field = line.substr(0, end);
    const size_t begin = std::min(field.find_first_not_of(' '), field.size());
    field = field.substr(begin, field.find_last_not_of(' ') + 1 - begin);
    std::optional<std::string> quoted;
    if (field.starts_with('"')) {
      quoted = Unquote(field);
      if (!quoted.has_value() && broken != nullptr) broken->push_back(fields.size());
    }
    fields.push_back(quoted.has_value() ? *std::move(quoted) : std::string(field));
    if (end == line.size()) return fields;
    line.remove_prefix(end + separator.size());
  }
}

std::string_view SeparatorOf(std::string_view first_line) {
  return SeparatorOf(first_line, [](std::string_view name) {
    for (size_t field = 0; field < kLogFieldCount; ++field) {
      if (RankOf(name, static_cast<LogField>(field)) != kNoColumn) return true;
    }
    return false;
  });
}

std::string_view SeparatorOf(std::string_view first_line,
                             const std::function<bool(std::string_view name)>& is_known) {
  std::string_view best = kSeparators[0];
  std::pair<size_t, size_t> most;
  for (const std::string_view separator : kSeparators) {
    const std::vector<std::string> fields = SplitLine(first_line, separator);
    const std::pair<size_t, size_t> found(std::ranges::count_if(fields, is_known), fields.size());
    if (found <= most) continue;
    most = found;
    best = separator;
  }
  return best;
}

}  // namespace groundswell
