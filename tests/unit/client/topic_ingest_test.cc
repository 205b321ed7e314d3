#include "client/kafka/topic_ingest.h"

#include <gtest/gtest.h>

namespace groundswell {
namespace {

TEST(TopicIngestTest, AFaultIsToldOfAlsoWhenItWasStopped) {
  const absl::Status stopped = absl::CancelledError("stopped");
  const absl::Status refused = absl::InvalidArgumentError("refused");
  const absl::Status away = absl::UnavailableError("away");
  EXPECT_EQ(FirstFault(stopped, refused), refused);
  EXPECT_EQ(FirstFault(refused, stopped), refused);
  EXPECT_EQ(FirstFault(refused, away), refused);
  EXPECT_EQ(FirstFault(stopped, absl::OkStatus()), stopped);
  EXPECT_EQ(FirstFault(absl::OkStatus(), stopped), stopped);
  EXPECT_TRUE(FirstFault(absl::OkStatus(), absl::OkStatus()).ok());
}

}  // namespace
}  // namespace groundswell
