// A server's life, over and over: interactions stream in, an operator takes checkpoints, activates
// snapshots, forgets users, removes items and makes backups, and meanwhile faults come at random:
// the disk's errors, hangs and want of room, descriptors that run out, hostile neighbours, SIGSTOP,
// SIGHUP, clocks that jump. Each life ends by kill -9, by SIGTERM, or by the server itself. After
// every restart it must hold exactly what its clients remember:
//
//   groundswell_soak --cycles 200 --seed 1
//
// Each producer keeps its own record outside the server: the sequence numbers that were
// acknowledged. What the server says it has dealt with may be more, never less; and the counts must
// be those of exactly that many interactions. Prints a line per cycle and a report that names each
// fault; exit code 1 at the first difference. An interrupt ends it behind the cycle in progress.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/fault/soak_clients.h"
#include "tests/fault/soak_faults.h"
#include "tests/integration/sample_server.h"
#include "tests/support/other_snapshot.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kProducers = 3;
constexpr int kTryAgain = 75;   // EX_TEMPFAIL
constexpr int kStartsMax = 30;  // each meets one fewer of the errors that are to come

std::atomic<bool> interrupted{false};

// The second one ends at once.
void OnInterrupt(int number) {
  interrupted = true;
  signal(number, SIG_DFL);
}

struct Figures {
  int64_t cycles = 0;
  int64_t lost = 0;
  int64_t doubled = 0;
  int64_t starts_refused = 0;  // by a fault, and tried again
  std::map<std::string, int64_t> ended_by_itself;
  milliseconds slowest_start{0};
};

class Soak {
 public:
  explicit Soak(uint64_t seed)
      : random_(seed),
        faults_(directory_.File("disk"), directory_.path()),
        operator_(GROUNDSWELL_SAMPLE_SNAPSHOT, directory_.File("other"),
                  directory_.File("disk/backups")) {
    for (int i = 0; i < kProducers; ++i) producers_.push_back(std::make_unique<SoakProducer>(i));
    WriteOtherSnapshot(GROUNDSWELL_SAMPLE_SNAPSHOT, directory_.File("other"));
    std::filesystem::create_directories(directory_.File("disk/backups"));
    ImportSample(database());
  }

  // One life, whose beginning judges the one before. `progress` gets a line.
  void Cycle(std::FILE* progress) {
    faults_.Choose(random_);
    const auto server = Start();
    faults_.Heal();
    const bool ended_by_itself = Live(*server);
    faults_.Heal();
    const int status = server->Stop(faults_.ends_in_order() ? SIGTERM : SIGKILL);
    Require(!faults_.ends_in_order() || ended_by_itself || status == 0 || status == kTryAgain,
            fmt::format("the server was to stop in order, and ended with status {}", status));
    JudgeAfterRestart();
    ++figures_.cycles;
    fmt::print(progress, "cycle {:>5}: {:>10} acknowledged, {} lost, {} doubled; met {}\n",
               figures_.cycles, acknowledged(), figures_.lost, figures_.doubled,
               fmt::join(faults_.met(), ", "));
    std::fflush(progress);
    Require(figures_.lost == 0 && figures_.doubled == 0, "the server holds something else");
    faults_.CountSurvived();
  }

  // Starts once more and stops in order, and verifies the files.
  void Finish() {
    {
      ServerProcess server(database(), Flags());
      Require(server.Stop(SIGTERM) == 0, "the server did not stop in order");
    }
    const Finished verified =
        RunProgram({GROUNDSWELL_SERVER_PROGRAM, "verify", "--data-dir", database()});
    Require(verified.exit_code == 0, "verify: " + verified.output);
  }

  nlohmann::ordered_json Report() const {
    nlohmann::ordered_json report = {{"cycles", figures_.cycles},
                                     {"acknowledged", acknowledged()},
                                     {"lost", figures_.lost},
                                     {"doubled", figures_.doubled},
                                     {"starts_refused", figures_.starts_refused},
                                     {"slowest_start_ms", figures_.slowest_start.count()}};
    for (const auto& [name, count] : faults_.counts()) {
      report["faults"][name] = {{"injected", count.injected}, {"survived", count.survived}};
    }
    report["ended_by_itself"] = figures_.ended_by_itself;
    report["operations"] = operator_.done();
    report["ended_during"] = operator_.died_in();
    return report;
  }

 private:
  // A short log, so that its beginning is cut off all the time and a redaction ends within a life.
  static std::vector<std::string> Flags() {
    return {"--checkpoint.interval_s=1", "--log.event_ids_max=20000", "--log.retention_mb=4",
            "--storage.write_stall_s=5", "--storage.recovery_max_s=20"};
  }

  // Whether it has, and how, when it is not by the status that asks for another start, or by an
  // assertion of RocksDB, as Debian has them.
  bool HasEnded(const ServerProcess& server) {
    siginfo_t about{};
    waitid(P_PID, static_cast<id_t>(server.pid()), &about, WEXITED | WNOHANG | WNOWAIT);
    if (about.si_pid == 0) return false;
    const bool is_exit = about.si_code == CLD_EXITED;
    const std::string how = fmt::format("{} {}", is_exit ? "status" : "signal", about.si_status);
    ++figures_.ended_by_itself[how];
    Require(how == "status 75" || how == "signal 6", "the server ended with " + how);
    return true;
  }

  std::string database() const { return directory_.File("disk/db"); }

  int64_t acknowledged() const {
    int64_t total = 0;
    for (const auto& producer : producers_) total += producer->acknowledged();
    return total;
  }

  // As a supervisor does: again, when a fault does not let it start.
  std::unique_ptr<ServerProcess> Start() {
    for (int i = 1;; ++i) {
      const auto begin = steady_clock::now();
      try {
        auto server = std::make_unique<ServerProcess>(database(), Flags(), faults_.environment(),
                                                      faults_.under());
        const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
        figures_.slowest_start = std::max(figures_.slowest_start, took);
        return server;
      } catch (const std::runtime_error&) {
        if (i == kStartsMax) throw;
        ++figures_.starts_refused;
      }
    }
  }

  // Everything at once, until what was chosen has been injected and a moment has passed; then the
  // life ends, unless it did by itself.
  bool Live(const ServerProcess& server) {
    std::atomic<bool> ended{false};
    const int64_t before = acknowledged();
    std::vector<std::thread> threads;
    for (const auto& producer : producers_) {
      threads.emplace_back(
          [&, seed = random_()] { producer->StreamUntil(ended, server.grpc_address(), seed); });
    }
    std::string failure;
    threads.emplace_back([&, seed = random_()] {
      try {
        operator_.WorkUntil(ended, server.grpc_address(), seed);
      } catch (const std::runtime_error& error) {
        failure = error.what();
      }
    });
    // Mostly in the middle of the stream, on a slow machine too; sometimes at its very beginning.
    const auto patience = steady_clock::now() + std::chrono::seconds(random_() % 4 == 0 ? 0 : 30);
    while (acknowledged() == before && steady_clock::now() < patience) {
      std::this_thread::sleep_for(milliseconds(10));
    }
    faults_.Inject(server, random_);
    std::string how_it_ended;
    bool ended_by_itself = false;
    try {
      ended_by_itself = HasEnded(server);
      if (!ended_by_itself) server.Signal(faults_.ends_in_order() ? SIGTERM : SIGKILL);
    } catch (const std::runtime_error& error) {
      how_it_ended = error.what();
    }
    ended = true;
    for (std::thread& thread : threads) thread.join();
    Require(how_it_ended.empty(), how_it_ended);
    Require(failure.empty(), failure);
    return ended_by_itself;
  }

  void JudgeAfterRestart() {
    ServerProcess server(database(), Flags());
    const Stubs stubs(server.grpc_address());
    v1::GraphVerification verified;
    RequireOk(stubs.admin->VerifyGraph(NewContext().get(), {}, &verified), "verify");
    Require(verified.difference_count() == 0,
            verified.difference_count() == 0 ? "" : "verify: " + verified.differences(0));
    for (const auto& producer : producers_) {
      const auto [lost, doubled] = producer->Compare(stubs);
      figures_.lost += lost;
      figures_.doubled += doubled;
    }
    operator_.CheckForgotten(stubs);
    server.Stop(SIGKILL);
  }

  TemporaryDirectory directory_;
  std::mt19937_64 random_;
  SoakFaults faults_;
  SoakOperator operator_;
  std::vector<std::unique_ptr<SoakProducer>> producers_;
  Figures figures_;
};

void Print(const nlohmann::ordered_json& report) {
  for (const auto& [name, value] : report.items()) {
    if (value.is_number()) fmt::print("{:<18} {}\n", name, value.get<int64_t>());
  }
  for (const auto& [name, count] : report["faults"].items()) {
    fmt::print("  {:<40} injected {:>5}, survived {:>5}\n", name, count["injected"].get<int64_t>(),
               count["survived"].get<int64_t>());
  }
  for (const char* part : {"ended_by_itself", "operations", "ended_during"}) {
    for (const auto& [name, count] : report[part].items()) {
      fmt::print("  {} {}: {}\n", part, name, count.get<int64_t>());
    }
  }
}

// What went wrong; empty: nothing.
std::string Run(Soak& soak, int64_t cycles, steady_clock::time_point end, std::FILE* progress) {
  try {
    for (int64_t cycle = 0; cycle < cycles && !interrupted && steady_clock::now() < end; ++cycle) {
      soak.Cycle(progress);
    }
    soak.Finish();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Lets a server live and die over and over, with faults of every kind, and compares it with "
      "what its clients remember.",
      "groundswell_soak");
  int64_t cycles = 200;
  int64_t minutes = 0;
  uint64_t seed = 1;
  bool as_json = false;
  app.add_option("--cycles", cycles, "Lives, at most")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--minutes", minutes, "Minutes, at most; 0: as long as the cycles take")
      ->check(CLI::Range(0, 100'000))
      ->capture_default_str();
  app.add_option("--seed", seed, "Seed of everything random")->capture_default_str();
  app.add_flag("--json", as_json, "The report as JSON; lines of progress go to standard error");
  app.footer("Example:\n  groundswell_soak --cycles 200");
  CLI11_PARSE(app, argc, argv);
  signal(SIGINT, OnInterrupt);
  signal(SIGTERM, OnInterrupt);
  const auto end = minutes == 0 ? steady_clock::time_point::max()
                                : steady_clock::now() + std::chrono::minutes(minutes);
  try {
    Soak soak(seed);
    const std::string failure = Run(soak, cycles, end, as_json ? stderr : stdout);
    nlohmann::ordered_json report = soak.Report();
    report["seed"] = seed;
    if (!failure.empty()) report["failure"] = failure;
    if (as_json) {
      fmt::print("{}\n", report.dump(2));
    } else {
      Print(report);
    }
    if (failure.empty()) return 0;
    fmt::print(stderr, "soak (seed {}): {}\n", seed, failure);
  } catch (const std::exception& error) {
    fmt::print(stderr, "soak: {}\n", error.what());
  }
  return 1;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
