#include "csv/parquet_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <utility>

extern char** environ;

namespace groundswell {
namespace {

constexpr size_t kReadBytes = size_t{1} << 16;
constexpr int kNoPyarrow = 3;
constexpr int kNotFound = 127;
// In the order of the file, some ten thousand rows at a time.
constexpr char kScript[] = R"(
import sys
sys.path[:] = [path for path in sys.path if path]  # not what lies beside the log
try:
    import pyarrow as pa, pyarrow.csv as csv, pyarrow.parquet as parquet
except ImportError:
    sys.exit(3)
try:
    file = parquet.ParquetFile(sys.argv[1])
    flat = [f for f in file.schema_arrow if not pa.types.is_nested(f.type)]
    plain = lambda t: t.value_type if pa.types.is_dictionary(t) else t
    schema = pa.schema([(f.name, plain(f.type)) for f in flat])
    with csv.CSVWriter(sys.stdout.buffer, schema) as out:
        for batch in file.iter_batches(columns=[f.name for f in flat]):
            out.write_table(pa.Table.from_batches([batch]).select(schema.names).cast(schema))
    sys.stdout.flush()
except BrokenPipeError:
    import os
    os._exit(0)
except Exception as error:
    sys.exit(f"{sys.argv[1]}: {error}")
)";

// The status that it ended with; none where that cannot be known.
std::optional<int> Wait(pid_t process) {
  int status = 0;
  pid_t ended = 0;
  do {
    ended = ::waitpid(process, &status, 0);
  } while (ended < 0 && errno == EINTR);
  if (ended < 0) return std::nullopt;
  return status;
}

absl::Status NotHere(const std::string& path, std::string_view what) {
  return absl::FailedPreconditionError(fmt::format(
      "\"{0}\" is Parquet, which is read by python3 with pyarrow, and {1}: pip install pyarrow; or "
      "convert the file, e.g. duckdb -c \"COPY (FROM '{0}') TO 'log.csv'\"",
      path, what));
}

}  // namespace

ParquetInput::ParquetInput(std::string path, pid_t process, int output)
    : path_(std::move(path)), process_(process), output_(output), text_(kReadBytes) {}

ParquetInput::~ParquetInput() {
  ::close(output_);
  if (process_ == 0) return;
  ::kill(process_, SIGKILL);
  Wait(process_);
}

absl::StatusOr<std::unique_ptr<ParquetInput>> ParquetInput::Open(const std::string& path) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return absl::ResourceExhaustedError(fmt::format("no pipe: {}", strerror(errno)));
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  // Ctrl-C is for this process, which ends the other.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::string words[] = {"python3", "-c", kScript, path};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  pid_t process = 0;
  const int error = ::posix_spawnp(&process, "python3", &actions, &attributes, arguments, environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (error != 0) {
    ::close(ends[0]);
    return NotHere(path, fmt::format("there is no python3 here ({})", strerror(error)));
  }
  std::unique_ptr<ParquetInput> input(new ParquetInput(path, process, ends[0]));
  try {
    if (input->sgetc() == traits_type::eof()) {
      return absl::DataLossError(fmt::format("\"{}\" has no columns", path));
    }
  } catch (const std::runtime_error&) {
    return input->damage_;
  }
  return input;
}

absl::Status ParquetInput::Ended() {
  const std::optional<int> status = Wait(process_);
  process_ = 0;
  const int code = status.has_value() && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
  if (code == 0) return absl::OkStatus();
  if (code == kNoPyarrow) return NotHere(path_, "the python3 on PATH has none");
  if (code == kNotFound) return NotHere(path_, "there is no python3 here");
  return absl::DataLossError(
      fmt::format("\"{}\" cannot be read as Parquet: python3 ended with status {}", path_, code));
}

ParquetInput::int_type ParquetInput::underflow() {
  ssize_t size = 0;
  do {
    size = ::read(output_, text_.data(), text_.size());
  } while (size < 0 && errno == EINTR);
  if (size > 0) {
    setg(text_.data(), text_.data(), text_.data() + size);
    return traits_type::to_int_type(text_[0]);
  }
  if (process_ != 0) damage_ = Ended();
  if (!damage_.ok()) throw std::runtime_error("damaged");
  return traits_type::eof();
}

}  // namespace groundswell
