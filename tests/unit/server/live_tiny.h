// The tiny snapshot (tests/support/snapshot_fixture.h) with its live graph, made in a moment.
#ifndef GROUNDSWELL_TESTS_UNIT_SERVER_LIVE_TINY_H_
#define GROUNDSWELL_TESTS_UNIT_SERVER_LIVE_TINY_H_

#include <string>

#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/server/live_sample.h"

namespace groundswell {

class LiveTiny {
 public:
  // `ranker`: the name of its only model, the dot product; empty: it has none.
  explicit LiveTiny(const std::string& ranker = "inner")
      : live_((WriteSnapshot(ranker), directory_.path())) {}

  LiveSample& live() { return live_; }
  ServingState& state() { return *live_.state; }

 private:
  void WriteSnapshot(const std::string& ranker) {
    SnapshotFixture fixture(directory_.path());
    if (ranker.empty()) return;
    fixture.manifest["models"] = {{{"name", ranker},
                                   {"kind", "dot"},
                                   {"file", "embeddings.safetensors"},
                                   {"options", nlohmann::json::object()}}};
    fixture.WriteManifest();
  }

  TemporaryDirectory directory_;
  LiveSample live_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_UNIT_SERVER_LIVE_TINY_H_
