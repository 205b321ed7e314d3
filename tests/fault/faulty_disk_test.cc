// The n-th call of a kind fails, for every n of a bounded piece of work, with the errors that a
// disk has: once, or until a few more of its kind have failed. Callers repeat what was refused.
// Then nothing acknowledged may be missing, also when the power is lost at the end; nothing may
// count twice; and the store must open again.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/live_graph.h"
#include "tests/support/power_loss_env.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr size_t kStoreItems = 4;
constexpr int kBatches = 24;
constexpr int kPerBatch = 20;
constexpr int64_t kWhile = 4;  // calls that fail when it is not once
constexpr unsigned kPatienceSeconds = 30;
constexpr int64_t kSample = Rounds(10);  // faults of a kind
constexpr int kSideBySide = 64;          // they wait most of the time
constexpr std::array kErrors = {EIO, ENOSPC, EDQUOT, EMFILE, ESTALE};
constexpr std::array<const char*, static_cast<size_t>(DiskCall::kCount)> kNames = {
    "write", "sync", "open", "rename", "directory sync"};

struct Fault {
  DiskCall call;
  int64_t first;
  int64_t last;
  int error;
  bool power_is_lost;  // at the end
};

std::string ToText(const Fault& fault) {
  return std::string(kNames[static_cast<size_t>(fault.call)]) + " " + std::to_string(fault.first) +
         " to " + std::to_string(fault.last) + ": " + std::strerror(fault.error) +
         (fault.power_is_lost ? ", then the power is lost" : "");
}

// Buffers are written where the work says so.
LiveGraphOptions FaultyDiskOptions(PowerLossEnv& env) {
  LiveGraphOptions options;
  options.write_buffer_bytes = size_t{4} << 20;
  options.env = env.env();
  return options;
}

// As a client does: the same again until it is acknowledged.
bool SendStubbornly(LiveGraph& live, int batch) {
  const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (std::chrono::steady_clock::now() < patience) {
    AppendRequest request;
    for (int i = 0; i < kPerBatch; ++i) {
      request.entries.push_back(MakeInteraction(
          "u" + std::to_string(i), "i" + std::to_string(batch % static_cast<int>(kStoreItems)), 1,
          100, std::to_string(batch) + "-" + std::to_string(i)));
    }
    if (live.Send(std::move(request)).ok()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

// What is on disk of one fault, and how many batches were acknowledged, a byte each.
struct Place {
  std::string database() const { return directory.File("db"); }
  std::string acknowledged() const { return directory.File("acknowledged"); }
  TemporaryDirectory directory;
};

// The work during which calls fail. Where the store does not open, it said so, and whoever
// supervises it starts it again.
void Work(const Place& place, PowerLossEnv& env) {
  std::unique_ptr<LiveGraph> live;
  try {
    live = std::make_unique<LiveGraph>(place.database(), FaultyDiskOptions(env));
  } catch (const std::runtime_error&) {
    return;
  }
  std::ofstream acknowledged(place.acknowledged());
  for (int batch = 0; batch < kBatches; ++batch) {
    if (batch == kBatches / 3) live->Checkpoint().status().IgnoreError();
    if (batch == kBatches / 2) live->store->EraseDeleted().IgnoreError();
    ASSERT_TRUE(SendStubbornly(*live, batch)) << "batch " << batch << " is refused for ever";
    acknowledged << '.' << std::flush;
  }
}

void WorkUnder(const Fault& fault, const Place& place) {
  PowerLossEnv env;
  env.RestoreAtLoss(place.database() + "/ACKNOWLEDGED");
  env.FailCalls(fault.call, fault.first, fault.last, fault.error);
  alarm(kPatienceSeconds);
  Work(place, env);
  if (!fault.power_is_lost) return;
  env.CutPower();
  std::mt19937_64 random(static_cast<uint64_t>(fault.first));
  env.DropUnsynced(random);
}

// What was acknowledged is there, and each interaction counts once. One that was written, but whose
// acknowledgement the end prevented, may be there.
void ExpectNothingLost(const Place& place) {
  std::error_code none;
  const auto acknowledged = std::filesystem::file_size(place.acknowledged(), none);
  LiveGraph live(place.database());
  live.ExpectVerified();
  std::set<std::string> ids;
  const auto entries = live.log->Read(1, 1'000'000);
  ASSERT_TRUE(entries.ok()) << entries.status();
  for (const auto& [offset, entry] : *entries) {
    EXPECT_TRUE(ids.emplace(EventIdOf(entry)).second) << "counted twice: " << EventIdOf(entry);
  }
  EXPECT_EQ(live.progress().total_count, static_cast<Count>(ids.size()));
  for (uintmax_t batch = 0; !none && batch < acknowledged; ++batch) {
    for (int i = 0; i < kPerBatch; ++i) {
      EXPECT_TRUE(ids.contains(std::to_string(batch) + "-" + std::to_string(i)));
    }
  }
}

// In a process of its own, which RocksDB may end by an assertion, as it does in Debian. The status
// of its end; 0 when nothing failed in it.
template <typename Body>
int RunInChild(const Body& body) {
  const bool had_failed = testing::Test::HasFailure();
  const pid_t child = fork();
  if (child == 0) {
    try {
      body();
    } catch (const std::runtime_error& error) {
      ADD_FAILURE() << error.what();
    }
    _exit(testing::Test::HasFailure() && !had_failed ? 1 : 0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

// Three processes, one after the other. The second one may end by an assertion of RocksDB, or be
// ended where RocksDB 7.8 waits for ever for its own recovery, which the log tells (failing): then
// whoever supervises it starts it again.
void Meet(const Fault& fault) {
  SCOPED_TRACE(ToText(fault));
  const Place place;
  ASSERT_EQ(RunInChild([&] { MakeStore(place.database(), kStoreItems); }), 0);
  const int status = RunInChild([&] { WorkUnder(fault, place); });
  const bool was_ended =
      WIFSIGNALED(status) && (WTERMSIG(status) == SIGABRT || WTERMSIG(status) == SIGALRM);
  EXPECT_TRUE(status == 0 || was_ended) << status;
  EXPECT_EQ(RunInChild([&] { ExpectNothingLost(place); }), 0);
}

// How many calls of this kind the work makes when none fails.
int64_t CountCalls(DiskCall call) {
  const Place place;
  const std::string counted = place.directory.File("calls");
  EXPECT_EQ(RunInChild([&] {
              MakeStore(place.database(), kStoreItems);
              PowerLossEnv env;
              Work(place, env);
              std::ofstream(counted) << env.calls(call);
            }),
            0);
  int64_t calls = 0;
  std::ifstream(counted) >> calls;
  return calls;
}

class FaultyDiskTest : public testing::TestWithParam<DiskCall> {
 protected:
  // Runs all of them, some at a time, each under a process of its own.
  static void MeetAll(const std::vector<Fault>& faults) {
    int running = 0;
    const auto wait_for_one = [&running] {
      int status = -1;
      wait(&status);
      EXPECT_EQ(status, 0);
      --running;
    };
    for (const Fault& fault : faults) {
      if (running == kSideBySide) wait_for_one();
      const bool had_failed = HasFailure();
      if (fork() == 0) {
        Meet(fault);
        _exit(HasFailure() && !had_failed ? 1 : 0);
      }
      ++running;
    }
    while (running > 0) wait_for_one();
  }
};

// Calls from the first to the last meet the errors in turn: a sample of them, as many as there is
// time for in every test run, or all where GROUNDSWELL_EVERY_FAULT is set.
TEST_P(FaultyDiskTest, NothingAcknowledgedIsLostAndItOpensAgain) {
  const DiskCall call = GetParam();
  const int64_t calls = CountCalls(call);
  ASSERT_GT(calls, 0);
  const int64_t step =
      std::getenv("GROUNDSWELL_EVERY_FAULT") != nullptr ? 1 : (calls + kSample - 1) / kSample;
  std::vector<Fault> faults;
  for (int64_t first = 1; first <= calls; first += step) {
    const auto turn = static_cast<size_t>(first / step);
    faults.push_back({.call = call,
                      .first = first,
                      .last = turn % 2 == 0 ? first : first + kWhile - 1,
                      .error = kErrors[turn % kErrors.size()],
                      .power_is_lost = turn % 3 == 0});
  }
  MeetAll(faults);
}

std::string NameOf(const testing::TestParamInfo<DiskCall>& info) {
  constexpr std::array kTestNames = {"Write", "Sync", "Open", "Rename", "DirectorySync"};
  return kTestNames[static_cast<size_t>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(EveryCall, FaultyDiskTest,
                         testing::Values(DiskCall::kWrite, DiskCall::kSync, DiskCall::kOpen,
                                         DiskCall::kRename, DiskCall::kSyncDirectory),
                         NameOf);

}  // namespace
}  // namespace groundswell
