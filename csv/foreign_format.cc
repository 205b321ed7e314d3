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
    {"ARROW1\x00\x00"sv, "a file of Arrow", "write it as Parquet or CSV"},
    {"\x89HDF\r\n\x1a\n"sv, "HDF5", "write it as Parquet or CSV"},
    {"%PDF-"sv, "PDF", "export the table as CSV"}};
// How far what has no mark is looked at.
constexpr size_t kLooked = 64;
// Where a tar archive says that it is one: behind the name of its first file, and more.
constexpr size_t kTarMagicAt = 257;

std::string_view From(std::string_view begin, size_t at) {
  return begin.substr(std::min(begin.size(), at));
}

// Bytes of 0 at even and at odd places of the first ones, as far as they are looked at.
struct Zeros {
  explicit Zeros(std::string_view begin) : looked(std::min(begin.size(), kLooked)) {
    for (size_t i = 0; i < looked; ++i) (i % 2 == 0 ? even : odd) += begin[i] == '\0' ? 1 : 0;
  }

  // More than text has that is none of UTF-16.
  bool AreMany() const { return looked >= 4 && (even + odd) * 8 >= looked * 3; }
  // Every second byte of it is 0 as long as its characters are Latin.
  bool AreOfUtf16() const { return AreMany() && (even == 0 || odd == 0); }

  size_t looked;
  size_t even = 0;
  size_t odd = 0;
};

}  // namespace

absl::Status CheckIsText(std::string_view begin) {
  const auto refuse = [](std::string_view what, std::string_view mend) {
    return absl::InvalidArgumentError(
        fmt::format("the input is {}; it must be CSV or JSON lines: {}", what, mend));
  };
  // Behind the first bytes and the size of its blocks.
  if (begin.starts_with("BZh") && From(begin, 4).starts_with("1AY&SY")) {
    return refuse("compressed by bzip2", "decompress it, e.g. bunzip2 -c FILE");
  }
  if (From(begin, kTarMagicAt).starts_with("ustar")) {
    return refuse("a tar archive", "unpack it, e.g. tar -xf FILE, and give a file out of it");
  }
  for (const Format& format : kFormats) {
    if (begin.starts_with(format.magic)) return refuse(format.what, format.mend);
  }
  const Zeros zeros(begin);
  if (zeros.AreOfUtf16()) return refuse("text in UTF-16", kToUtf8);
  if (zeros.AreMany()) return refuse("no text", "write it so");
  return absl::OkStatus();
}

}  // namespace groundswell
