// kill -9 at random instants, over and over, while interactions stream in and an operator takes
// checkpoints, activates snapshots, forgets users, removes items and makes backups. After every
// restart the server must hold exactly what its clients remember:
//
//   groundswell_soak --cycles 200 --seed 1
//
// Each producer keeps its own record outside the server: the sequence numbers that were
// acknowledged. What the server says it has dealt with may be more, never less; and the counts must
// be those of exactly that many interactions. Prints a line per cycle and a report; exit code 1 at
// the first difference.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/sample_server.h"
#include "tests/support/other_snapshot.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kProducers = 3;
constexpr int kUsersPerProducer = 4;
constexpr std::array kItems = {"85123A", "22423", "47566", "84879", "20725"};

void Require(bool is_so, const std::string& what) {
  if (!is_so) throw std::runtime_error(what);
}

void RequireOk(const grpc::Status& status, const std::string& what) {
  Require(status.ok(), what + ": " + status.error_message());
}

std::string UserOf(int producer, int64_t sequence) {
  return fmt::format("soak-{}-{}", producer, sequence % kUsersPerProducer);
}

v1::Interaction EventOf(int producer, int64_t sequence) {
  return NewInteraction(fmt::format("p{}-{}", producer, sequence), UserOf(producer, sequence),
                        kItems[static_cast<size_t>(sequence) % kItems.size()]);
}

// One producer's stream until the server dies. Returns the last acknowledged sequence.
int64_t Produce(const std::string& address, int producer, int64_t from, uint64_t seed) {
  std::mt19937_64 random(seed);
  const Stubs stubs(address);
  grpc::ClientContext context;
  const auto stream = stubs.interaction->Ingest(&context);
  std::atomic<int64_t> acknowledged{from - 1};
  std::thread reader([&] {
    v1::IngestResponse response;
    while (stream->Read(&response)) acknowledged = response.last_sequence();
  });
  int64_t next = from;
  while (true) {
    // Now and then a part is sent again, as a client does that lost an acknowledgement.
    if (random() % 8 == 0) next = std::max<int64_t>(1, next - static_cast<int64_t>(random() % 20));
    v1::IngestRequest request;
    request.set_producer_id(fmt::format("producer-{}", producer));
    request.set_first_sequence(next);
    for (uint64_t i = 0; i < 1 + random() % 50; ++i) {
      *request.add_interactions() = EventOf(producer, next++);
    }
    if (!stream->Write(request)) break;
  }
  reader.join();
  return acknowledged;
}

// What the server says of a producer's sequence.
int64_t LastSequence(const Stubs& stubs, int producer) {
  const auto context = NewContext();
  const auto stream = stubs.interaction->Ingest(context.get());
  v1::IngestRequest request;
  request.set_producer_id(fmt::format("producer-{}", producer));
  v1::IngestResponse response;
  Require(stream->Write(request) && stream->Read(&response), "the sequence cannot be asked for");
  stream->WritesDone();
  RequireOk(stream->Finish(), "the sequence cannot be asked for");
  return response.last_sequence();
}

int64_t TotalOf(const Stubs& stubs, const std::string& user, const std::string& token) {
  v1::GetUserStateRequest request;
  request.set_user_id(user);
  request.set_consistency_token(token);
  v1::GetUserStateResponse state;
  const grpc::Status status = stubs.recommend->GetUserState(NewContext().get(), request, &state);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return 0;
  RequireOk(status, "user " + user);
  return state.total_count();
}

// What an operator does meanwhile; each name is counted by whether the server died in it.
class Operator {
 public:
  Operator(std::string sample, std::string other, std::string backups)
      : snapshots_{std::move(other), std::move(sample)}, backups_(std::move(backups)) {}

  void WorkUntilItDies(const std::string& address, uint64_t seed) {
    std::mt19937_64 random(seed);
    const Stubs stubs(address);
    while (DoOne(stubs, random)) {
    }
    ++died_in_[doing_];
  }

  // Users whose forgetting was acknowledged hold nothing.
  void CheckForgotten(const Stubs& stubs) const {
    for (const std::string& user : forgotten_) {
      Require(TotalOf(stubs, user, "") == 0, user + " was forgotten and is there");
    }
  }

  const std::map<std::string, int>& died_in() const { return died_in_; }
  const std::map<std::string, int>& done() const { return done_; }

 private:
  bool DoOne(const Stubs& stubs, std::mt19937_64& random) {
    const auto context = NewContext();
    grpc::Status status;
    switch (random() % 8) {
      case 0:
      case 1: {
        doing_ = "checkpoint";
        v1::Checkpoint response;
        status = stubs.admin->CreateCheckpoint(context.get(), {}, &response);
        break;
      }
      case 2: {
        doing_ = "activation";
        v1::ActivateSnapshotRequest request;
        request.set_directory(snapshots_[random() % 2]);
        v1::SnapshotInfo response;
        status = stubs.admin->ActivateSnapshot(context.get(), request, &response);
        break;
      }
      case 3: {
        doing_ = "backup";
        v1::CreateBackupRequest request;
        request.set_directory(fmt::format("{}/{}", backups_, ++backup_));
        v1::Backup response;
        status = stubs.admin->CreateBackup(context.get(), request, &response);
        std::filesystem::remove_all(request.directory());
        break;
      }
      case 4:
      case 5:
        status = ForgetSomeone(stubs, random);
        break;
      case 6:
        status = ComeAndGo(stubs, random);
        break;
      default: {
        doing_ = "verify";
        v1::GraphVerification response;
        status = stubs.admin->VerifyGraph(context.get(), {}, &response);
        Require(response.difference_count() == 0, "the running graph differs");
      }
    }
    const bool is_there = status.error_code() != grpc::StatusCode::UNAVAILABLE &&
                          status.error_code() != grpc::StatusCode::CANCELLED;
    if (is_there) ++done_[doing_];
    return is_there;
  }

  static std::string RequestId(std::mt19937_64& random) {
    return fmt::format("{:08x}-0000-4000-8000-{:012x}", random() & 0xffffffff,
                       random() & 0xffffffffffff);
  }

  // A user comes, acts, and is forgotten, log and all (which also compacts the database).
  grpc::Status ForgetSomeone(const Stubs& stubs, std::mt19937_64& random) {
    doing_ = "forget and compaction";
    const std::string user = fmt::format("victim-{}", ++victim_);
    for (int i = 0; i < 5; ++i) {
      v1::RecordInteractionRequest request;
      *request.mutable_interaction() =
          NewInteraction(fmt::format("{}-{}", user, i), user, kItems[i]);
      v1::RecordInteractionResponse response;
      const grpc::Status status =
          stubs.interaction->RecordInteraction(NewContext().get(), request, &response);
      if (!status.ok()) return status;
    }
    v1::ForgetUserRequest request;
    request.set_request_id(RequestId(random));
    request.set_user_id(user);
    v1::RemovalReceipt receipt;
    const grpc::Status status =
        stubs.interaction->ForgetUser(NewContext().get(), request, &receipt);
    if (status.ok()) {
      Require(receipt.total_count() == 5, "a forgotten user's receipt is wrong");
      forgotten_.push_back(user);
    }
    return status;
  }

  // An item is created, taken, and removed.
  grpc::Status ComeAndGo(const Stubs& stubs, std::mt19937_64& random) {
    doing_ = "item removal";
    const std::string item = fmt::format("short-lived-{}", ++item_);
    v1::UpsertItemRequest create;
    create.set_item_id(item);
    v1::UpsertItemResponse created;
    grpc::Status status = stubs.admin->UpsertItem(NewContext().get(), create, &created);
    if (!status.ok()) return status;
    v1::RemoveItemRequest remove;
    remove.set_request_id(RequestId(random));
    remove.set_item_id(item);
    v1::RemovalReceipt receipt;
    return stubs.admin->RemoveItem(NewContext().get(), remove, &receipt);
  }

  const std::array<std::string, 2> snapshots_;
  const std::string backups_;
  std::string doing_;
  std::map<std::string, int> died_in_;
  std::map<std::string, int> done_;
  std::vector<std::string> forgotten_;
  int backup_ = 0;
  int victim_ = 0;
  int item_ = 0;
};

class Soak {
 public:
  explicit Soak(uint64_t seed)
      : random_(seed),
        operator_(GROUNDSWELL_SAMPLE_SNAPSHOT, directory_.File("other"),
                  directory_.File("backups")) {
    WriteOtherSnapshot(GROUNDSWELL_SAMPLE_SNAPSHOT, directory_.File("other"));
    std::filesystem::create_directory(directory_.File("backups"));
    ImportSample(directory_.File("db"));
  }

  void Cycle(int number) {
    const auto begin = steady_clock::now();
    ServerProcess server(directory_.File("db"), Flags());
    const auto ready = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
    slowest_start_ = std::max(slowest_start_, ready);
    Check(server.grpc_address());
    std::vector<std::thread> threads;
    std::string failure;
    std::mutex mutex;
    for (int producer = 0; producer < kProducers; ++producer) {
      threads.emplace_back([&, producer, seed = random_()] {
        acknowledged_[static_cast<size_t>(producer)] =
            Produce(server.grpc_address(), producer,
                    acknowledged_[static_cast<size_t>(producer)] + 1, seed);
      });
    }
    threads.emplace_back([&, seed = random_()] {
      try {
        operator_.WorkUntilItDies(server.grpc_address(), seed);
      } catch (const std::runtime_error& error) {
        const std::lock_guard<std::mutex> lock(mutex);
        failure = error.what();
      }
    });
    std::this_thread::sleep_for(milliseconds(30 + random_() % 700));
    server.Stop(SIGKILL);
    for (std::thread& thread : threads) thread.join();
    Require(failure.empty(), failure);
    int64_t total = 0;
    for (const int64_t one : acknowledged_) total += one;
    fmt::print("cycle {:>4}: start {:>5} ms, {:>9} interactions acknowledged so far\n", number,
               ready.count(), total);
    std::fflush(stdout);
  }

  // Starts once more, compares, stops in order, and verifies the files.
  void Finish(int cycles) {
    {
      ServerProcess server(directory_.File("db"), Flags());
      Check(server.grpc_address());
      Require(server.Stop(SIGTERM) == 0, "the server did not stop in order");
    }
    const Finished verified =
        RunProgram({GROUNDSWELL_SERVER_PROGRAM, "verify", "--data-dir", directory_.File("db")});
    Require(verified.exit_code == 0, "verify: " + verified.output);
    fmt::print(
        "\n{} kills survived: nothing acknowledged lost, nothing counted twice, verify clean "
        "after each\n",
        cycles);
    for (int producer = 0; producer < kProducers; ++producer) {
      fmt::print("  producer {}: {} interactions\n", producer,
                 acknowledged_[static_cast<size_t>(producer)]);
    }
    for (const auto& [what, count] : operator_.done()) fmt::print("  {} x {}\n", count, what);
    for (const auto& [what, count] : operator_.died_in()) {
      fmt::print("  killed {} times during {}\n", count, what);
    }
    fmt::print("  slowest start {} ms\n{}", slowest_start_.count(), verified.output);
  }

 private:
  // A short log, so that its beginning is cut off all the time and a redaction ends within a life.
  static std::vector<std::string> Flags() {
    return {"--checkpoint.interval_s=1", "--log.event_ids_max=20000", "--log.retention_mb=4"};
  }

  void Check(const std::string& address) {
    const Stubs stubs(address);
    v1::GraphVerification verified;
    RequireOk(stubs.admin->VerifyGraph(NewContext().get(), {}, &verified), "verify");
    Require(verified.difference_count() == 0,
            verified.difference_count() == 0 ? "" : "verify: " + verified.differences(0));
    v1::ServerStatus status;
    RequireOk(stubs.admin->GetServerStatus(NewContext().get(), {}, &status), "status");
    for (int producer = 0; producer < kProducers; ++producer) {
      int64_t& acknowledged = acknowledged_[static_cast<size_t>(producer)];
      const int64_t last = LastSequence(stubs, producer);
      Require(last >= acknowledged,
              fmt::format("producer {}: {} was acknowledged, the server has {}", producer,
                          acknowledged, last));
      acknowledged = last;
      std::map<std::string, int64_t> expected;
      for (int user = 0; user < kUsersPerProducer; ++user) expected[UserOf(producer, user)] = 0;
      for (int64_t sequence = 1; sequence <= last; ++sequence) {
        ++expected[UserOf(producer, sequence)];
      }
      for (const auto& [user, count] : expected) {
        const int64_t found = TotalOf(stubs, user, "");
        Require(found == count,
                fmt::format("user {}: {} interactions, the graph holds {}", user, count, found));
      }
    }
    operator_.CheckForgotten(stubs);
  }

  TemporaryDirectory directory_;
  std::mt19937_64 random_;
  Operator operator_;
  std::array<int64_t, kProducers> acknowledged_{};
  milliseconds slowest_start_{0};
};

int Main(int argc, char** argv) {
  CLI::App app("Kills a server over and over and compares it with what its clients remember.",
               "groundswell_soak");
  int cycles = 200;
  uint64_t seed = 1;
  app.add_option("--cycles", cycles, "Kills")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--seed", seed, "Seed of everything random")->capture_default_str();
  app.footer("Example:\n  groundswell_soak --cycles 200");
  CLI11_PARSE(app, argc, argv);
  try {
    Soak soak(seed);
    for (int cycle = 1; cycle <= cycles; ++cycle) soak.Cycle(cycle);
    soak.Finish(cycles);
  } catch (const std::exception& error) {
    fmt::print(stderr, "soak (seed {}): {}\n", seed, error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
