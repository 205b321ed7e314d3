#include "tests/fault/soak_clients.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace groundswell {
namespace {

constexpr int kUsersPerProducer = 4;
constexpr std::array kSoakItems = {"85123A", "22423", "47566", "84879", "20725"};
constexpr int kOfVictim = 5;
// Forgotten users that are looked at again: the newest, so that a long soak does not get slower.
constexpr size_t kForgottenChecked = 200;

// Of calls that a fault may keep from ever being answered.
std::unique_ptr<grpc::ClientContext> PatientContext() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  return context;
}

std::string RequestId(std::mt19937_64& random) {
  return fmt::format("{:08x}-0000-4000-8000-{:012x}", random() & 0xffffffff,
                     random() & 0xffffffffffff);
}

bool IsGone(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::CANCELLED;
}

}  // namespace

void Require(bool is_so, const std::string& what) {
  if (!is_so) throw std::runtime_error(what);
}

void RequireOk(const grpc::Status& status, const std::string& what) {
  Require(status.ok(), what + ": " + status.error_message());
}

int64_t TotalOf(const Stubs& stubs, const std::string& user) {
  v1::GetUserStateRequest request;
  request.set_user_id(user);
  v1::GetUserStateResponse state;
  const grpc::Status status = stubs.recommend->GetUserState(NewContext().get(), request, &state);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return 0;
  RequireOk(status, "user " + user);
  return state.total_count();
}

std::string SoakProducer::UserOf(int user) const {
  return fmt::format("soak-{}-{}", number_, user);
}

// Sequence n is of user n mod kUsersPerProducer.
int64_t SoakProducer::CountOf(int user, int64_t sent) {
  if (user == 0) return sent / kUsersPerProducer;
  return (sent + kUsersPerProducer - user) / kUsersPerProducer;
}

void SoakProducer::Stream(const std::atomic<bool>& ended, const Stubs& stubs,
                          std::mt19937_64& random) {
  grpc::ClientContext context;
  const auto stream = stubs.interaction->Ingest(&context);
  v1::IngestRequest asking;
  asking.set_producer_id(fmt::format("producer-{}", number_));
  v1::IngestResponse response;
  if (stream->Write(asking) && stream->Read(&response)) {
    acknowledged_ = std::max<int64_t>(acknowledged_, response.last_sequence());
    std::thread reader([&] {
      v1::IngestResponse acknowledgement;
      while (stream->Read(&acknowledgement)) acknowledged_ = acknowledgement.last_sequence();
    });
    int64_t next = acknowledged_ + 1;
    while (!ended) {
      // Now and then a part is sent again, as a client does that lost an acknowledgement.
      if (random() % 8 == 0) {
        next = std::max<int64_t>(1, next - static_cast<int64_t>(random() % 20));
      }
      v1::IngestRequest request;
      request.set_producer_id(asking.producer_id());
      request.set_first_sequence(next);
      for (uint64_t i = 0; i < 1 + random() % 50; ++i, ++next) {
        *request.add_interactions() =
            NewInteraction(fmt::format("p{}-{}", number_, next),
                           UserOf(static_cast<int>(next % kUsersPerProducer)),
                           kSoakItems[static_cast<size_t>(next) % kSoakItems.size()]);
      }
      if (!stream->Write(request)) break;
    }
    context.TryCancel();  // the life is over: what is not acknowledged is not waited for
    reader.join();
  }
  stream->Finish();
}

void SoakProducer::StreamUntil(const std::atomic<bool>& ended, const std::string& address,
                               uint64_t seed) {
  std::mt19937_64 random(seed);
  const Stubs stubs(address);
  while (!ended) {
    Stream(ended, stubs, random);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

SoakProducer::Difference SoakProducer::Compare(const Stubs& stubs) {
  const auto context = NewContext();
  const auto stream = stubs.interaction->Ingest(context.get());
  v1::IngestRequest request;
  request.set_producer_id(fmt::format("producer-{}", number_));
  v1::IngestResponse response;
  Require(stream->Write(request) && stream->Read(&response), "the sequence cannot be asked for");
  stream->WritesDone();
  RequireOk(stream->Finish(), "the sequence cannot be asked for");
  const int64_t last = response.last_sequence();
  Difference difference{.lost = std::max<int64_t>(acknowledged_ - last, 0)};
  acknowledged_ = last;
  for (int user = 0; user < kUsersPerProducer; ++user) {
    const int64_t more = TotalOf(stubs, UserOf(user)) - CountOf(user, last);
    difference.lost += std::max<int64_t>(-more, 0);
    difference.doubled += std::max<int64_t>(more, 0);
  }
  return difference;
}

void SoakOperator::WorkUntil(const std::atomic<bool>& ended, const std::string& address,
                             uint64_t seed) {
  std::mt19937_64 random(seed);
  const Stubs stubs(address);
  bool is_gone = false;
  while (!ended) {
    is_gone = IsGone(DoOne(stubs, random));
    if (!is_gone) {
      ++done_[doing_];
      continue;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  if (is_gone) ++died_in_[doing_];
}

void SoakOperator::CheckForgotten(const Stubs& stubs) const {
  const size_t first = forgotten_.size() - std::min(forgotten_.size(), kForgottenChecked);
  for (size_t i = first; i < forgotten_.size(); ++i) {
    Require(TotalOf(stubs, forgotten_[i]) == 0, forgotten_[i] + " was forgotten and is there");
  }
}

grpc::Status SoakOperator::DoOne(const Stubs& stubs, std::mt19937_64& random) {
  switch (random() % 8) {
    case 0:
    case 1: {
      doing_ = "checkpoint";
      v1::Checkpoint response;
      return stubs.admin->CreateCheckpoint(PatientContext().get(), {}, &response);
    }
    case 2:
      return Activate(stubs, random);
    case 3:
      return Backup(stubs);
    case 4:
    case 5:
      return ForgetSomeone(stubs, random);
    case 6:
      return ComeAndGo(stubs, random);
    default:
      return Verify(stubs);
  }
}

grpc::Status SoakOperator::Activate(const Stubs& stubs, std::mt19937_64& random) {
  doing_ = "activation";
  v1::ActivateSnapshotRequest request;
  request.set_directory(snapshots_[random() % 2]);
  v1::SnapshotInfo response;
  return stubs.admin->ActivateSnapshot(PatientContext().get(), request, &response);
}

grpc::Status SoakOperator::Backup(const Stubs& stubs) {
  doing_ = "backup";
  v1::CreateBackupRequest request;
  request.set_directory(fmt::format("{}/{}", backups_, ++backup_));
  v1::Backup response;
  const grpc::Status status = stubs.admin->CreateBackup(PatientContext().get(), request, &response);
  std::error_code ignored;  // one that was cut off may still be written
  std::filesystem::remove_all(request.directory(), ignored);
  return status;
}

grpc::Status SoakOperator::Verify(const Stubs& stubs) {
  doing_ = "verify";
  v1::GraphVerification response;
  const grpc::Status status = stubs.admin->VerifyGraph(PatientContext().get(), {}, &response);
  Require(response.difference_count() == 0, "the running graph differs");
  return status;
}

// A user comes, acts, and is forgotten, log and all (which also compacts the database).
grpc::Status SoakOperator::ForgetSomeone(const Stubs& stubs, std::mt19937_64& random) {
  doing_ = "forget and compaction";
  const std::string user = fmt::format("victim-{}", ++victim_);
  for (int i = 0; i < kOfVictim; ++i) {
    v1::RecordInteractionRequest request;
    *request.mutable_interaction() =
        NewInteraction(fmt::format("{}-{}", user, i), user, kSoakItems[static_cast<size_t>(i)]);
    v1::RecordInteractionResponse response;
    const grpc::Status status =
        stubs.interaction->RecordInteraction(PatientContext().get(), request, &response);
    if (!status.ok()) return status;
  }
  v1::ForgetUserRequest request;
  request.set_request_id(RequestId(random));
  request.set_user_id(user);
  v1::RemovalReceipt receipt;
  const grpc::Status status =
      stubs.interaction->ForgetUser(PatientContext().get(), request, &receipt);
  if (status.ok()) {
    Require(receipt.total_count() == kOfVictim, "a forgotten user's receipt is wrong");
    forgotten_.push_back(user);
  }
  return status;
}

// An item is created, taken, and removed.
grpc::Status SoakOperator::ComeAndGo(const Stubs& stubs, std::mt19937_64& random) {
  doing_ = "item removal";
  const std::string item = fmt::format("short-lived-{}", ++item_);
  v1::UpsertItemRequest create;
  create.set_item_id(item);
  v1::UpsertItemResponse created;
  grpc::Status status = stubs.admin->UpsertItem(PatientContext().get(), create, &created);
  if (!status.ok()) return status;
  v1::RemoveItemRequest remove;
  remove.set_request_id(RequestId(random));
  remove.set_item_id(item);
  v1::RemovalReceipt receipt;
  return stubs.admin->RemoveItem(PatientContext().get(), remove, &receipt);
}

}  // namespace groundswell
