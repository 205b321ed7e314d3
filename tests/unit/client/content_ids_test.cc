#include "client/events/content_ids.h"

#include <gtest/gtest.h>

#include <set>

namespace groundswell {
namespace {

v1::Interaction Event(const std::string& user, const std::string& item, int64_t seconds) {
  v1::Interaction event;
  event.set_user_id(user);
  event.set_item_id(item);
  event.set_event_type("view");
  event.mutable_event_time()->set_seconds(seconds);
  return event;
}

TEST(ContentIdsTest, EverythingThatAnEventSaysCounts) {
  const v1::Interaction event = Event("u", "i", 1);
  std::set<std::string> hashes = {ContentHash(event)};
  hashes.insert(ContentHash(Event("v", "i", 1)));
  hashes.insert(ContentHash(Event("u", "j", 1)));
  hashes.insert(ContentHash(Event("u", "i", 2)));
  hashes.insert(ContentHash(Event("ui", "", 1)));
  v1::Interaction other = event;
  other.set_event_type("cart");
  hashes.insert(ContentHash(other));
  other = event;
  other.set_weight(1);
  hashes.insert(ContentHash(other));
  EXPECT_EQ(hashes.size(), 7u);
  EXPECT_EQ(ContentHash(event), ContentHash(Event("u", "i", 1)));
  other = event;
  other.set_event_id("its own");
  EXPECT_EQ(ContentHash(other), ContentHash(event));
}

TEST(ContentIdsTest, EqualRecordsAreToldApartAndTheSameInTheNextReading) {
  ContentIds first, again;
  std::set<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    const std::string id = first.IdOf(Event("u", "i", 1));
    EXPECT_TRUE(ids.insert(id).second) << id;
    EXPECT_EQ(id, again.IdOf(Event("u", "i", 1)));
    again.IdOf(Event("u", "between", i));
  }
}

// The trainer makes the same ones: those of tests/trainer/test_data.py.
TEST(ContentIdsTest, IdsAreTheseForEver) {
  ContentIds ids;
  v1::Interaction event = Event("ann", "mug", 1'322'000'000);
  EXPECT_EQ(ids.IdOf(event), "333514a472100c20d6e1d01689fffbda");
  event.set_weight(3);
  event.mutable_event_time()->set_nanos(250'000'000);
  EXPECT_EQ(ids.IdOf(event), "ed99662ea2cb371f3df9faf5f91e5e07");
  event = Event("ann", "mug", 1'322'000'000);
  event.set_event_type("purchase");
  EXPECT_EQ(ids.IdOf(event), "526c26adb244e95998665719dbd9d615");
  EXPECT_EQ(ids.IdOf(event), "526c26adb244e95998665719dbd9d615:2");
  event = Event("Zo\u00eb, 1", "Mug \"5\" \u2615", 1'322'000'001);
  event.set_event_type("purchase");
  event.set_weight(5);
  EXPECT_EQ(ids.IdOf(event), "125b2d3d1e142f19218be5e69e2ce47d");
  event.set_event_type("return");
  event.set_weight(-2);
  event.mutable_event_time()->set_seconds(1'322'000'002);
  event.mutable_event_time()->set_nanos(1'000);
  EXPECT_EQ(ids.IdOf(event), "af20dd5d8558230d5f2f032dda9067e7");
}

TEST(ChainHashTest, StandsForEveryRecordUpToTheLast) {
  const std::string a = ChainHash("", 1, "a");
  EXPECT_NE(ChainHash(a, 2, "b"), ChainHash(ChainHash("", 1, "c"), 2, "b"));
  EXPECT_NE(ChainHash(a, 2, "b"), ChainHash(a, 3, "b"));
  EXPECT_EQ(ChainHash(a, 2, "b"), ChainHash(ChainHash("", 1, "a"), 2, "b"));
}

}  // namespace
}  // namespace groundswell
