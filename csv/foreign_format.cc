#include "csv/foreign_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "csv/parquet_input.h"

namespace groundswell {
namespace {

using std::string_view_literals::operator""sv;

struct Format {
  std::string_view magic;
  std::string_view what;
  std::string_view mend;
};

constexpr std::string_view kSaveAsCsv = "save it as CSV in UTF-8";
constexpr std::string_view kToUtf8 = "convert it, e.g. iconv -f UTF-16 -t UTF-8 FILE";
constexpr Format kFormats[] = {
    {"\xff\xfe"sv, "text in UTF-16", kToUtf8},
    {"\xfe\xff"sv, "text in UTF-16", kToUtf8},
    {"PK\x03\x04"sv, "a ZIP archive, such as a workbook (.xlsx, .ods)",
     "save a workbook as CSV in UTF-8, and unpack another archive"},
    {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"sv, "an Excel workbook (.xls)", kSaveAsCsv},
    {kParquetMagic, "Parquet, which is not read from standard input", "name the file"},
    {"\xfd"
     "7zXZ\x00"sv,
     "compressed by xz", "decompress it, e.g. xz -dc FILE"},
    {"\x04\x22\x4d\x18"sv, "compressed by LZ4", "decompress it, e.g. lz4 -dc FILE"},
    {"7z\xbc\xaf\x27\x1c"sv, "a 7z archive", "unpack it"},
    {"Obj\x01"sv, "Avro", "write it as CSV or JSON lines"},
    {"SQLite format 3\x00"sv, "a database of SQLite", "export a table as CSV"},
    {"%PDF-"sv, "PDF", "export the table as CSV"}};
// How far text in UTF-16 without a mark is looked at.
constexpr size_t kLooked = 64;

// Every second byte of it is 0 as long as its characters are Latin.
bool IsUtf16(std::string_view begin) {
  const std::string_view looked = begin.substr(0, std::min(begin.size(), kLooked));
  const auto zeros = static_cast<size_t>(std::ranges::count(looked, '\0'));
  return looked.size() >= 4 && zeros * 8 >= looked.size() * 3;
}

}  // namespace

absl::Status CheckIsText(std::string_view begin) {
  const auto refuse = [](std::string_view what, std::string_view mend) {
    return absl::InvalidArgumentError(
        fmt::format("the input is {}; it must be CSV or JSON lines: {}", what, mend));
  };
  // Behind the first bytes and the size of its blocks.
  if (begin.starts_with("BZh") &&
      begin.substr(std::min<size_t>(begin.size(), 4)).starts_with("1AY&SY")) {
    return refuse("compressed by bzip2", "decompress it, e.g. bunzip2 -c FILE");
  }
  for (const Format& format : kFormats) {
    if (begin.starts_with(format.magic)) return refuse(format.what, format.mend);
  }
  return IsUtf16(begin) ? refuse("text in UTF-16", kToUtf8) : absl::OkStatus();
}

}  // namespace groundswell
