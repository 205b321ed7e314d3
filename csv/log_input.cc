#include "csv/log_input.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace groundswell {
namespace {

constexpr size_t kInputChunkBytes = size_t{1} << 16;
// With the first byte no text begins that is a log.
constexpr int kGzipByte = 0x1f;
constexpr int kZstandardByte = 0x28;
constexpr int kWindowBits = 15 + 16;  // the largest window; 16: with gzip's header

// Not of a pipe, of which nothing may be read in vain.
bool IsParquet(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  std::ifstream file(path, std::ios::binary);
  std::string begin(kParquetMagic.size(), '\0');
  file.read(begin.data(), std::ssize(begin));
  return begin == kParquetMagic;
}

}  // namespace

// Reads compressed bytes from a stream and gives them decompressed. What is damaged ends the
// reading by an exception, upon which the stream above it is bad.
class LogInput::Decompressor : public std::streambuf {
 public:
  explicit Decompressor(std::istream& input)
      : input_(input), compressed_(kInputChunkBytes), text_(kInputChunkBytes) {}

  uint64_t bytes_read() const { return bytes_read_; }
  const absl::Status& damage() const { return damage_; }

 protected:
  int_type underflow() override {
    size_t size = 0;
    while (size == 0) {
      if (unused_.empty() && !at_end_) Fill();
      if (unused_.empty() && at_end_) {
        if (is_whole()) return traits_type::eof();
        Fail("it ends in the middle: is the file whole?");
      }
      size = Decompress(unused_, text_);
    }
    setg(text_.data(), text_.data(), text_.data() + size);
    return traits_type::to_int_type(text_[0]);
  }

  // Takes what it reads off `compressed`, and writes into `text`; how much. Calls Fail for damage.
  virtual size_t Decompress(std::string_view& compressed, std::vector<char>& text) = 0;
  // Whether the input may end here.
  virtual bool is_whole() const = 0;

  [[noreturn]] void Fail(std::string_view what) {
    damage_ = absl::DataLossError(fmt::format("the input cannot be decompressed: {}", what));
    throw std::runtime_error("damaged");
  }

 private:
  void Fill() {
    input_.read(compressed_.data(), std::ssize(compressed_));
    unused_ = {compressed_.data(), static_cast<size_t>(input_.gcount())};
    bytes_read_ += unused_.size();
    at_end_ = !input_;
    if (input_.bad()) Fail("the file cannot be read; check it and its disk");
  }

  std::istream& input_;
  std::vector<char> compressed_;
  std::vector<char> text_;
  std::string_view unused_;  // of compressed_
  uint64_t bytes_read_ = 0;
  bool at_end_ = false;
  absl::Status damage_;
};

// One member behind the other, as `cat a.gz b.gz` makes them.
class LogInput::Gzip final : public Decompressor {
 public:
  explicit Gzip(std::istream& input) : Decompressor(input) {
    usable_ = inflateInit2(&stream_, kWindowBits) == Z_OK;
  }
  ~Gzip() override {
    if (usable_) inflateEnd(&stream_);
  }

 protected:
  size_t Decompress(std::string_view& compressed, std::vector<char>& text) override {
    if (!usable_) Fail("there is no memory for it");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
    stream_.avail_in = static_cast<uInt>(compressed.size());
    stream_.next_out = reinterpret_cast<Bytef*>(text.data());
    stream_.avail_out = static_cast<uInt>(text.size());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    compressed.remove_prefix(compressed.size() - stream_.avail_in);
    whole_ = result == Z_STREAM_END;
    if (whole_) {
      usable_ = inflateReset(&stream_) == Z_OK;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      Fail("it is no gzip file, or damaged");
    }
    return text.size() - stream_.avail_out;
  }
  bool is_whole() const override { return whole_; }

 private:
  z_stream stream_{};
  bool usable_ = false;
  bool whole_ = false;
};

class LogInput::Zstandard final : public Decompressor {
 public:
  explicit Zstandard(std::istream& input) : Decompressor(input), stream_(ZSTD_createDStream()) {}
  ~Zstandard() override { ZSTD_freeDStream(stream_); }

 protected:
  size_t Decompress(std::string_view& compressed, std::vector<char>& text) override {
    if (stream_ == nullptr) Fail("there is no memory for it");
    ZSTD_inBuffer in{.src = compressed.data(), .size = compressed.size(), .pos = 0};
    ZSTD_outBuffer out{.dst = text.data(), .size = text.size(), .pos = 0};
    const size_t result = ZSTD_decompressStream(stream_, &out, &in);
    if (ZSTD_isError(result) != 0) Fail("it is no Zstandard file, or damaged");
    compressed.remove_prefix(in.pos);
    whole_ = result == 0;
    return out.pos;
  }
  bool is_whole() const override { return whole_; }

 private:
  ZSTD_DStream* stream_;
  bool whole_ = false;
};

LogInput::LogInput() = default;
LogInput::~LogInput() = default;

absl::Status LogInput::Open(const std::string& path) {
  if (path == "-") return Open(std::cin);
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(fmt::format("\"{}\" is a directory; give a file", path));
  }
  file_.open(path, std::ios::binary);
  if (!file_) return absl::NotFoundError(fmt::format("cannot open \"{}\"", path));
  if (IsParquet(path)) return OpenParquet(path);
  bytes_ = std::filesystem::file_size(path, error);
  if (error) bytes_ = 0;
  return Open(file_);
}

absl::Status LogInput::OpenParquet(const std::string& path) {
  absl::StatusOr<std::unique_ptr<ParquetInput>> parquet = ParquetInput::Open(path);
  if (!parquet.ok()) return parquet.status();
  parquet_ = *std::move(parquet);
  text_ = std::make_unique<std::istream>(parquet_.get());
  stream_ = text_.get();
  return absl::OkStatus();
}

absl::Status LogInput::Open(std::istream& input) {
  const int first = input.peek();
  input.clear(input.rdstate() & ~(std::ios::eofbit | std::ios::failbit));
  if (first == kGzipByte) decompressor_ = std::make_unique<Gzip>(input);
  if (first == kZstandardByte) decompressor_ = std::make_unique<Zstandard>(input);
  stream_ = &input;
  if (decompressor_ == nullptr) return absl::OkStatus();
  text_ = std::make_unique<std::istream>(decompressor_.get());
  stream_ = text_.get();
  return absl::OkStatus();
}

absl::Status LogInput::damage() const {
  if (parquet_ != nullptr) return parquet_->damage();
  return decompressor_ == nullptr ? absl::OkStatus() : decompressor_->damage();
}

std::optional<uint64_t> LogInput::compressed_bytes_read() const {
  if (decompressor_ == nullptr) return std::nullopt;
  return decompressor_->bytes_read();
}

}  // namespace groundswell
