#include "csv/csv_reader.h"

#include <csv.h>

#include <string>
#include <vector>

namespace groundswell {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 16;

}  // namespace

// libcsv calls back with fields; whole records wait here until the next chunk is read.
struct CsvReader::State {
  State(std::istream& stream, char separator) : input(stream), chunk(kChunkBytes) {
    usable = csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL) == 0;
    if (usable) csv_set_delim(&parser, static_cast<unsigned char>(separator));
  }
  ~State() { csv_free(&parser); }

  void AddField(std::string_view field);
  void EndRecord();
  void Fill();
  std::string_view ReadChunk();
  // Why the input ended, when that was not its end.
  absl::Status Damage() const;

  std::istream& input;
  std::vector<char> chunk;
  uint64_t bytes_read = 0;
  csv_parser parser;
  bool usable = false;
  bool at_end = false;
  bool too_long = false;
  bool unreadable = false;  // the input failed before its end
  bool damaged = false;     // the bytes behind the whole records are not CSV

  std::string text;                       // of all fields, one behind the other
  std::vector<size_t> field_ends;         // where each ends in `text`
  std::vector<size_t> record_ends;        // how many fields precede the end of each whole record
  size_t record_begin = 0;                // in `text`, of the record that is being parsed
  size_t next_record = 0;                 // of `record_ends`
  size_t next_field = 0;                  // of `field_ends`
  std::vector<std::string_view> current;  // what Next returned last
};

void CsvReader::State::AddField(std::string_view field) {
  too_long = too_long || text.size() - record_begin + field.size() > kRecordBytesMax;
  if (too_long) return;
  text += field;
  field_ends.push_back(text.size());
}

void CsvReader::State::EndRecord() {
  if (too_long) return;
  record_ends.push_back(field_ends.size());
  record_begin = text.size();
}

// Up to a line's end behind which nothing is there yet: a pipe's writer may be a while with more.
std::string_view CsvReader::State::ReadChunk() {
  size_t size = 0;
  char byte = 0;
  while (size < chunk.size() && input.get(byte)) {
    chunk[size++] = byte;
    if (byte == '\n' && input.rdbuf()->in_avail() <= 0) break;
  }
  return {chunk.data(), size};
}

// Reads until at least one record is whole or the input ends.
void CsvReader::State::Fill() {
  const auto on_field = [](void* field, size_t size, void* data) {
    static_cast<State*>(data)->AddField({static_cast<const char*>(field), size});
  };
  const auto on_record = [](int, void* data) { static_cast<State*>(data)->EndRecord(); };
  // The beginning of a record whose end is yet to come stays.
  const size_t returned = next_field == 0 ? 0 : field_ends[next_field - 1];
  text.erase(0, returned);
  field_ends.erase(field_ends.begin(), field_ends.begin() + static_cast<ptrdiff_t>(next_field));
  for (size_t& end : field_ends) end -= returned;
  record_ends.clear();
  record_begin = next_record = next_field = 0;
  while (record_ends.empty() && !at_end) {
    std::string_view bytes = ReadChunk();
    if (bytes_read == 0 && bytes.starts_with(kByteOrderMark)) {
      bytes_read += kByteOrderMark.size();
      bytes.remove_prefix(kByteOrderMark.size());
    }
    bytes_read += bytes.size();
    unreadable = input.bad();
    damaged =
        csv_parse(&parser, bytes.data(), bytes.size(), on_field, on_record, this) != bytes.size();
    if (input.eof() && !damaged) damaged = csv_fini(&parser, on_field, on_record, this) != 0;
    // A quotation that never closes would otherwise gather the rest of the file.
    too_long = too_long || parser.entry_pos > kRecordBytesMax;
    at_end = !input || damaged || too_long;
  }
}

absl::Status CsvReader::State::Damage() const {
  if (!usable) return absl::InternalError("cannot set up the CSV parser");
  if (too_long) {
    return absl::DataLossError("a record is longer than 64 KiB; is a quotation left open?");
  }
  if (damaged) {
    return absl::DataLossError(
        "a quotation is not RFC 4180; close it, and double the quotes in it");
  }
  if (unreadable) {
    return absl::DataLossError("the input cannot be read; check the file and its disk");
  }
  return absl::OkStatus();
}

CsvReader::CsvReader(std::istream& input, char separator)
    : state_(std::make_unique<State>(input, separator)) {}

CsvReader::~CsvReader() = default;

uint64_t CsvReader::bytes_read() const { return state_->bytes_read; }

absl::StatusOr<std::optional<std::span<const std::string_view>>> CsvReader::Next() {
  State& state = *state_;
  if (state.usable && state.next_record == state.record_ends.size()) state.Fill();
  if (state.next_record == state.record_ends.size()) {
    if (absl::Status damage = state.Damage(); !damage.ok()) return damage;
    return std::nullopt;
  }
  const size_t end = state.record_ends[state.next_record++];
  size_t begin = state.next_field == 0 ? 0 : state.field_ends[state.next_field - 1];
  state.current.clear();
  for (; state.next_field < end; ++state.next_field) {
    const size_t field_end = state.field_ends[state.next_field];
    state.current.push_back(std::string_view(state.text).substr(begin, field_end - begin));
    begin = field_end;
  }
  return std::span<const std::string_view>(state.current);
}

}  // namespace groundswell
