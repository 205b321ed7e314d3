#include "client/kafka/partition_ingest.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <set>

#include "groundswell/v1/interaction.grpc.pb.h"
#include "tests/unit/client/loopback_server.h"

namespace groundswell {
namespace {

// A server's rules for one producer: numbers without gaps, each once; what has no user, or an item
// that is not there, is refused.
class SequencedService final : public v1::InteractionService::Service {
 public:
  grpc::Status Ingest(
      grpc::ServerContext* /*context*/,
      grpc::ServerReaderWriter<v1::IngestResponse, v1::IngestRequest>* stream) override {
    v1::IngestRequest request;
    while (stream->Read(&request)) {
      if (request.first_sequence() > last + 1) {
        return {grpc::StatusCode::FAILED_PRECONDITION, "SEQUENCE_GAP"};
      }
      v1::IngestResponse response;
      for (int i = 0; i < request.interactions_size(); ++i) {
        const v1::Interaction& one = request.interactions(i);
        const int64_t number = request.first_sequence() + i;
        if (one.user_id().empty() || one.item_id() == "gone") {
          auto& refusal = *response.add_refusals();
          refusal.set_index(i);
          refusal.mutable_status()->set_code(3);
          refusal.mutable_status()->set_message("no " + one.item_id());
        } else if (number <= last || !ids.insert(one.event_id()).second) {
          response.set_duplicate_count(response.duplicate_count() + 1);
        } else {
          response.set_accepted_count(response.accepted_count() + 1);
          taken[number] = one.event_id();
        }
        last = std::max(last, number);
      }
      ++batches;
      response.set_last_sequence(last);
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  int64_t last = 0;
  int batches = 0;
  std::set<std::string> ids;
  std::map<int64_t, std::string> taken;  // by its number
};

class PartitionIngestTest : public testing::Test {
 protected:
  PartitionIngestTest() {
    client_ = std::make_unique<Client>(Client::Options{.address = server_.address()});
  }

  static EventSender::Options Sender() {
    return {.batch_size = 3, .inflight_max = 2, .producer_id = "p"};
  }
  static absl::Status Take(PartitionIngest& ingest, const std::string& item = "mug",
                           const std::string& event_id = "") {
    KafkaRecord record{.offset = ingest.next(), .key = {}, .value = "value"};
    v1::Interaction interaction;
    interaction.set_event_id(event_id.empty() ? std::to_string(ingest.next()) : event_id);
    interaction.set_user_id("ann");
    interaction.set_item_id(item);
    return ingest.Take(std::move(record), std::move(interaction));
  }

  SequencedService service_;
  LoopbackServer server_{{&service_}};
  std::unique_ptr<Client> client_;
};

TEST_F(PartitionIngestTest, EveryOffsetHasItsNumberAlsoThoseWithoutARecord) {
  PartitionIngest ingest(*client_, Sender(), 100, 100, 100, false);
  ASSERT_TRUE(Take(ingest).ok());
  ASSERT_TRUE(ingest.PassOver(110, PartitionIngest::NoInteraction::kEmpty).ok());
  ASSERT_TRUE(Take(ingest).ok());
  ASSERT_TRUE(ingest.PassOver(112, PartitionIngest::NoInteraction::kBad).ok());
  ASSERT_TRUE(ingest.PassOver(114, PartitionIngest::NoInteraction::kPassedOver).ok());
  ASSERT_TRUE(ingest.Finish().ok());
  EXPECT_EQ(service_.taken, (std::map<int64_t, std::string>{{1, "100"}, {11, "110"}}));
  EXPECT_EQ(service_.last, 14);
  EXPECT_EQ(ingest.position(), 114);
  const PartitionCounts counts = ingest.counts();
  EXPECT_EQ(counts.accepted, 2u);
  EXPECT_EQ(counts.refused, 0u);
  EXPECT_EQ(counts.empty, 9u);
  EXPECT_EQ(counts.bad, 1u);
  EXPECT_EQ(counts.passed_over, 2u);
  EXPECT_FALSE(ingest.has_refused());
}

TEST_F(PartitionIngestTest, WhatIsSentAgainCountsNeitherTwiceNorAsADuplicate) {
  {
    PartitionIngest ingest(*client_, Sender(), 0, 0, 0, false);
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(Take(ingest).ok());
    ASSERT_TRUE(ingest.PassOver(10, PartitionIngest::NoInteraction::kBad).ok());
    ASSERT_TRUE(ingest.Finish().ok());
  }
  PartitionIngest again(*client_, Sender(), 0, 10, 2, false);
  EXPECT_EQ(again.position(), 10);
  while (again.next() < 8) ASSERT_TRUE(Take(again).ok());
  ASSERT_TRUE(again.PassOver(10, PartitionIngest::NoInteraction::kBad).ok());
  ASSERT_TRUE(Take(again).ok());
  ASSERT_TRUE(Take(again, "mug", "3").ok());  // a repeat within the topic
  ASSERT_TRUE(again.Finish().ok());
  EXPECT_EQ(service_.taken.size(), 9u);
  EXPECT_EQ(again.counts().accepted, 1u);
  EXPECT_EQ(again.counts().duplicates, 1u);
  EXPECT_EQ(again.counts().bad, 0u);
  EXPECT_EQ(again.position(), 12);
}

TEST_F(PartitionIngestTest, KeptRecordsEndABatchByTheirBytes) {
  for (const bool keep : {false, true}) {
    service_.last = 0;
    service_.batches = 0;
    EventSender::Options sender = Sender();
    sender.batch_size = 100;
    PartitionIngest ingest(*client_, sender, 0, 0, 0, keep);
    for (int i = 0; i < 4; ++i) {
      v1::Interaction interaction;
      interaction.set_user_id("ann");
      interaction.set_event_id(std::to_string(i));
      KafkaRecord record{.offset = i, .key = {}, .value = std::string(600'000, 'x')};
      ASSERT_TRUE(ingest.Take(std::move(record), std::move(interaction)).ok());
    }
    ASSERT_TRUE(ingest.Finish().ok());
    EXPECT_EQ(service_.batches, keep ? 2 : 1);
  }
}

TEST_F(PartitionIngestTest, RefusedRecordsAreToldOfAlsoThoseOfAnEarlierRun) {
  for (const int64_t position : {0, 5}) {
    PartitionIngest ingest(*client_, Sender(), 0, position, 0, true);
    for (const std::string item : {"mug", "mug", "gone", "mug", "mug"}) {
      ASSERT_TRUE(Take(ingest, item).ok());
    }
    ASSERT_TRUE(ingest.Finish().ok());
    ASSERT_TRUE(ingest.has_refused());
    const auto refused = ingest.TakeRefused();
    ASSERT_EQ(refused.size(), 1u);
    EXPECT_EQ(refused[0].record.offset, 2);
    EXPECT_EQ(refused[0].record.value, "value");
    EXPECT_EQ(refused[0].reason, "no gone");
    EXPECT_FALSE(ingest.has_refused());
    EXPECT_EQ(ingest.counts().refused, position == 0 ? 1u : 0u);
  }
}

}  // namespace
}  // namespace groundswell
