#include "graph/log/record.h"

#include <gtest/gtest.h>

#include <set>

#include "graph/log/entry_hash.h"

namespace groundswell {
namespace {

Interaction Sample() {
  return {.event_id = "e1",
          .user_id = "u",
          .item_id = "i",
          .event_type = "return",
          .weight = -3,
          .event_time_us = 12'345,
          .received_time_us = 67'890};
}

TEST(LogRecordTest, EveryFlippedBitIsNoticed) {
  const std::string record = EncodeLogRecord(Sample());
  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string damaged = record;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(DecodeLogRecord(damaged).status().code(), absl::StatusCode::kDataLoss) << bit;
  }
}

TEST(LogRecordTest, TruncatedRecordIsDataLossAtEveryLength) {
  const std::string record = EncodeLogRecord(Sample());
  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_EQ(DecodeLogRecord(std::string_view(record).substr(0, size)).status().code(),
              absl::StatusCode::kDataLoss)
        << size;
  }
}

TEST(LogRecordTest, AnInteractionRoundTrips) {
  for (const bool is_assigned : {false, true}) {
    Interaction sample = Sample();
    if (is_assigned) sample.user_cluster = {.cluster = 0, .clusters_of = "abc"};
    if (is_assigned) sample.item_creation = ItemCreation::kDone;
    const auto decoded = DecodeLogRecord(EncodeLogRecord(sample));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    const auto& interaction = std::get<Interaction>(*decoded);
    EXPECT_EQ(interaction.event_id, "e1");
    EXPECT_EQ(interaction.user_id, "u");
    EXPECT_EQ(interaction.item_id, "i");
    EXPECT_EQ(interaction.event_type, "return");
    EXPECT_EQ(interaction.weight, -3);
    EXPECT_EQ(interaction.event_time_us, 12'345);
    EXPECT_EQ(interaction.received_time_us, 67'890);
    EXPECT_EQ(interaction.user_cluster, sample.user_cluster);
    EXPECT_EQ(interaction.item_creation, sample.item_creation);
  }
}

TEST(LogRecordTest, EveryOtherKindOfEntryRoundTrips) {
  const auto again = [](const LogEntry& entry) { return *DecodeLogRecord(EncodeLogRecord(entry)); };
  EXPECT_EQ(std::get<Redacted>(again(Redacted{.event_time_us = 7})).event_time_us, 7);
  EXPECT_EQ(std::get<Redacted>(again(Redacted{.created_item_id = "i"})).created_item_id, "i");
  EXPECT_EQ(std::get<Redacted>(again(Redacted{.event_id_hash = HashEventId("e")})).event_id_hash,
            HashEventId("e"));
  EXPECT_EQ(std::get<Redacted>(again(Redacted{})).event_id_hash, std::nullopt);
  const auto forget = std::get<ForgetUser>(
      again(ForgetUser{.event_id = "e", .user_id = "u", .user_hash = HashId("u"), .time_us = 9}));
  EXPECT_EQ(forget.event_id, "e");
  EXPECT_EQ(forget.user_id, "u");
  EXPECT_EQ(forget.user_hash, HashId("u"));
  EXPECT_EQ(forget.time_us, 9);
  const auto removal = std::get<RemoveItem>(
      again(RemoveItem{.event_id = "e", .item_hash = HashId("i"), .time_us = 9}));
  EXPECT_EQ(removal.item_id, "");
  EXPECT_EQ(removal.item_hash, HashId("i"));
  const auto item = std::get<UpsertItem>(again(UpsertItem{.event_id = "e",
                                                          .item_id = "i",
                                                          .title = "t",
                                                          .category = "c",
                                                          .embedding = {1.5f, -2},
                                                          .cluster = 3,
                                                          .clusters_of = "abc"}));
  EXPECT_EQ(item.title, "t");
  EXPECT_EQ(item.category, "c");
  EXPECT_EQ(item.embedding, (std::vector<float>{1.5f, -2}));
  EXPECT_EQ(item.cluster, 3u);
  EXPECT_EQ(item.clusters_of, "abc");
  EXPECT_EQ(
      std::get<ActivateSnapshot>(again(ActivateSnapshot{.snapshot_digest = "d"})).snapshot_digest,
      "d");
  EXPECT_EQ(std::get<ResetBlend>(again(ResetBlend{.event_id = "e"})).event_id, "e");
  const auto set = std::get<SetListRules>(again(SetListRules{
      .event_id = "e", .etag_before = "b", .etag = "a", .rules = "\xff", .is_refused = true}));
  EXPECT_EQ(set.event_id, "e");
  EXPECT_EQ(set.etag_before, "b");
  EXPECT_EQ(set.etag, "a");
  EXPECT_EQ(set.rules, "\xff");
  EXPECT_TRUE(set.is_refused);
}

TEST(ContentHashTest, AnotherIdOrAnotherContentIsAnotherHash) {
  const Interaction sample = Sample();
  Interaction late = sample;
  late.received_time_us = 1;
  late.user_cluster = {.cluster = 1, .clusters_of = "abc"};
  EXPECT_EQ(ContentHashOf(sample), ContentHashOf(late)) << "what the server added is no content";
  Interaction other_id = sample;
  other_id.event_id = "e2";
  Interaction shifted = sample;  // the same characters, parted elsewhere
  shifted.user_id = "ui";
  shifted.item_id = "";
  UpsertItem item{.event_id = "e1", .item_id = "i"};
  UpsertItem available = item;
  available.availability.until_us = 5;
  const std::vector<LogEntry> entries = {
      sample,
      other_id,
      shifted,
      item,
      available,
      UpsertItem{.event_id = "e1", .item_id = "i", .embedding = {1}},
      ForgetUser{.event_id = "e1", .user_hash = HashId("i")},
      RemoveItem{.event_id = "e1", .item_hash = HashId("i")},
      ActivateSnapshot{.event_id = "e1", .snapshot_digest = "i"},
      ResetBlend{.event_id = "e1"},
      SetListRules{.event_id = "e1", .etag = "i"},
      SetListRules{.event_id = "e1", .etag_before = "i"},
      SetListRules{.event_id = "e1", .etag = "i", .is_refused = true}};
  std::set<uint64_t> hashes;
  for (const LogEntry& entry : entries) hashes.insert(ContentHashOf(entry));
  EXPECT_EQ(hashes.size(), entries.size());
}

// Stored: another build must find what this one wrote.
TEST(ContentHashTest, IsWhatItAlwaysWas) {
  EXPECT_EQ(ContentHashOf(Sample()), 0x18632u);
  EXPECT_EQ(HashEventId("e1"), (EventIdHash{0x8b, 0x5c, 0xc4, 0xdf, 0x7e, 0xec, 0x7d, 0x32, 0xa7,
                                            0x81, 0x4e, 0xca, 0x4a, 0xf0, 0x47, 0xae}));
}

TEST(KeyTest, NumbersSortAsTheirBytesDo) {
  std::string smaller;
  std::string larger;
  AppendKeyU64(smaller, 255);
  AppendKeyU64(larger, 256);
  EXPECT_LT(smaller, larger);
  EXPECT_EQ(KeySuffixU64(larger), 256u);
  EXPECT_EQ(KeySuffixU64("short"), 0u);
}

}  // namespace
}  // namespace groundswell
