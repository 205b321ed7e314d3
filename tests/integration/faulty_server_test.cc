// A real server whose disk fails: calls of each kind, with each error, once and for a while.
// Nothing acknowledged may be lost or count twice; the server recovers by itself, or is not ready
// and ends with a status that says to start it again.
#include <gmock/gmock.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tests/integration/faulty_disk.h"
#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

using testing::HasSubstr;

constexpr std::array kErrors = {EIO, ENOSPC, EDQUOT, EMFILE, ESTALE};
constexpr int64_t kWhile = 6;   // calls that fail when it is not once
constexpr int64_t kSample = 2;  // faults of a kind, of each time, where not all are tried
constexpr size_t kSideBySide = 4;
constexpr int kUsers = 3;
constexpr auto kKinds = static_cast<size_t>(FaultyCall::kCount);

std::unique_ptr<grpc::ClientContext> ShortContext() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  return context;
}

struct Fault {
  FaultyCall call;
  int error;
  int64_t passing;
  int64_t count;
  bool at_start;
};

std::string ToText(const Fault& fault) {
  return std::string(NameOf(fault.call)) + " " + std::to_string(fault.passing + 1) +
         (fault.at_start ? " of a start, " : ", ") + std::to_string(fault.count) +
         " of them: " + std::strerror(fault.error);
}

// A server, whoever starts it again when it ends by itself, and a client that sends the same again
// until it is acknowledged.
class Supervised {
 public:
  Supervised() {
    std::filesystem::create_directories(directory_.File("disk/backups"));
    ImportSample(directory_.File("disk/db"));
  }

  void Meet(const Fault& fault) {
    SCOPED_TRACE(ToText(fault));
    if (server_ == nullptr) Start();
    if (server_ == nullptr) return;
    if (fault.at_start) {
      Kill();
      Arm(fault);
      Start();
    } else {
      Arm(fault);
    }
    for (int round = 0; round < 3 && disk_.failed() < fault.count; ++round) Work();
    disk_.Heal();
    Work();
    EXPECT_TRUE(BecomesReady());
    Kill();
    Start();
    if (server_ != nullptr) ExpectNothingLost();
  }

  // How many calls of each kind a start makes, and a round of work behind it.
  struct Calls {
    std::array<int64_t, kKinds> start;
    std::array<int64_t, kKinds> work;
  };
  Calls CountCalls() {
    Start();
    Calls calls{.start = Counted(), .work = {}};
    Work();
    calls.work = Counted();
    for (size_t i = 0; i < kKinds; ++i) calls.work[i] -= calls.start[i];
    return calls;
  }

 private:
  std::array<int64_t, kKinds> Counted() const {
    std::array<int64_t, kKinds> counted{};
    for (size_t i = 0; i < kKinds; ++i) counted[i] = disk_.calls(static_cast<FaultyCall>(i));
    return counted;
  }

  void Arm(const Fault& fault) { disk_.Fail(fault.call, fault.error, fault.passing, fault.count); }

  void Kill() {
    server_->Stop(SIGKILL);
    server_ = nullptr;
  }

  // As a supervisor does, until it is ready.
  void Start() {
    for (int i = 0; i < 20 && server_ == nullptr; ++i) {
      try {
        server_ = std::make_unique<ServerProcess>(
            directory_.File("disk/db"),
            std::vector<std::string>{"--storage.write_stall_s=10", "--storage.recovery_max_s=20"},
            disk_.environment());
      } catch (const std::runtime_error& error) {
        ExpectMayEnd(error.what());
      }
    }
    ASSERT_NE(server_, nullptr) << "it does not start any more";
    stubs_ = std::make_unique<Stubs>(server_->grpc_address());
  }

  // By the status, or by an assertion of RocksDB, as it does in Debian.
  static void ExpectMayEnd(const std::string& how) {
    EXPECT_THAT(how, testing::AnyOf(HasSubstr("status 75"), HasSubstr("status -1")));
  }

  void StartAgainIfEnded() {
    if (!server_->HasEnded()) return;
    ExpectMayEnd("status " + std::to_string(server_->Stop(SIGKILL)));
    server_ = nullptr;
    Start();
  }

  bool BecomesReady() {
    return Becomes([this] {
             if (server_ != nullptr) StartAgainIfEnded();
             return server_ == nullptr || server_->IsReady();
           }) &&
           server_ != nullptr;
  }

  void Record() {
    const int user = event_ % kUsers;
    v1::RecordInteractionRequest request;
    *request.mutable_interaction() =
        NewInteraction("event-" + std::to_string(event_), UserOf(user), kItem);
    const bool is_acknowledged = Becomes([&] {
      if (server_ != nullptr) StartAgainIfEnded();
      if (server_ == nullptr) return true;
      v1::RecordInteractionResponse response;
      return stubs_->interaction->RecordInteraction(ShortContext().get(), request, &response).ok();
    });
    ASSERT_TRUE(is_acknowledged && server_ != nullptr) << "it is refused for ever";
    ++event_;
    ++acknowledged_[user];
  }

  // Everything that writes; what an operator does may fail.
  void Work() {
    ++round_;
    for (int i = 0; i < kUsers && server_ != nullptr; ++i) Record();
    if (server_ == nullptr) return;
    v1::ForgetUserRequest forget;
    forget.set_request_id("00000000-0000-4000-8000-" + std::to_string(100'000'000'000 + round_));
    forget.set_user_id(UserOf(kUsers));
    v1::RemovalReceipt receipt;
    stubs_->interaction->ForgetUser(ShortContext().get(), forget, &receipt);
    v1::Checkpoint checkpoint;
    stubs_->admin->CreateCheckpoint(ShortContext().get(), {}, &checkpoint);
    v1::CreateBackupRequest backup;
    backup.set_directory(directory_.File("disk/backups/" + std::to_string(round_)));
    v1::Backup made;
    stubs_->admin->CreateBackup(ShortContext().get(), backup, &made);
    std::error_code ignored;
    std::filesystem::remove_all(backup.directory(), ignored);
    for (int i = 0; i < kUsers && server_ != nullptr; ++i) Record();
  }

  void ExpectNothingLost() {
    for (const auto& [user, count] : acknowledged_) {
      v1::GetUserStateRequest request;
      request.set_user_id(UserOf(user));
      v1::GetUserStateResponse state;
      const grpc::Status status =
          stubs_->recommend->GetUserState(NewContext().get(), request, &state);
      EXPECT_TRUE(status.ok()) << status.error_message();
      EXPECT_EQ(state.total_count(), count);
    }
    v1::GraphVerification verified;
    ASSERT_TRUE(stubs_->admin->VerifyGraph(NewContext().get(), {}, &verified).ok());
    EXPECT_EQ(verified.difference_count(), 0);
  }

  static std::string UserOf(int user) { return "disk-user-" + std::to_string(user); }

  TemporaryDirectory directory_;
  FaultyDisk disk_{directory_.File("disk"), directory_.File("control")};
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Stubs> stubs_;
  int64_t event_ = 0;
  int64_t round_ = 0;
  std::map<int, int64_t> acknowledged_;
};

// Some of them, spread over the calls, or all where GROUNDSWELL_EVERY_FAULT is set.
void AddFaults(FaultyCall call, int64_t calls, bool at_start, std::vector<Fault>& faults) {
  const int64_t step =
      std::getenv("GROUNDSWELL_EVERY_FAULT") != nullptr ? 1 : (calls + kSample - 1) / kSample;
  for (int64_t passing = 0; passing < calls; passing += step) {
    const size_t turn = faults.size();
    faults.push_back({.call = call,
                      .error = kErrors[turn % kErrors.size()],
                      .passing = passing,
                      .count = turn % 2 == 0 ? 1 : kWhile,
                      .at_start = at_start});
  }
}

TEST(FaultyServerTest, NothingAcknowledgedIsLostWhateverTheDiskRefuses) {
  const Supervised::Calls calls = Supervised().CountCalls();
  std::vector<Fault> faults;
  for (size_t kind = 0; kind < kKinds; ++kind) {
    EXPECT_GT(calls.start[kind], 0) << NameOf(static_cast<FaultyCall>(kind));
    EXPECT_GT(calls.work[kind], 0) << NameOf(static_cast<FaultyCall>(kind));
    AddFaults(static_cast<FaultyCall>(kind), calls.work[kind], /*at_start=*/false, faults);
    AddFaults(static_cast<FaultyCall>(kind), calls.start[kind], /*at_start=*/true, faults);
  }
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kSideBySide; ++i) {
    threads.emplace_back([&faults, &next] {
      Supervised supervised;
      for (size_t at = next++; at < faults.size(); at = next++) supervised.Meet(faults[at]);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace groundswell
