#include "client/kafka/record_mapping.h"
#include "tests/fuzz/seed_corpus.h"

namespace groundswell {
namespace {

// One byte stands between a mapping and a record.
constexpr char kEnd = '\x1e';
constexpr char kMapping[] =
    R"({"user_id": "/a/b", "item_id": "/c~1d", "event_time": "/t", "weight": "/w",
    "event_id": "/e", "event_type": {"path": "/k", "values": {"x": "view", "y": null}, "otherwise": "p"}})";

void CheckRead(const RecordMapping& mapping, const std::string& value) {
  const KafkaRecord record{
      .partition = 1, .offset = 2, .timestamp_ms = 3'000, .key = {}, .value = value};
  const auto read = mapping.Read(record, "kafka/c/t");
  if (!read.ok()) {
    Require(absl::IsInvalidArgument(read.status()), "a bad record is an InvalidArgument");
    return;
  }
  if (!read->has_value()) return;
  Require(!(*read)->event_id().empty(), "an interaction has an event id");
  v1::Interaction again;
  Require(again.ParseFromString((*read)->SerializeAsString()), "an interaction can be sent");
}

}  // namespace

std::vector<std::string> SeedCorpus() {
  const std::string mapping = kMapping;
  v1::Interaction interaction;
  interaction.set_user_id("ann");
  interaction.set_event_type("view");
  return {mapping,
          mapping + kEnd +
              R"({"a": {"b": 1}, "c/d": "i", "t": 1322000000.5, "w": 2, "e": "e", "k": "x"})",
          mapping + kEnd +
              R"({"a": {"b": "u"}, "c/d": 3, "t": "2011-11-22T22:13:20Z", "e": 1, "k": "y"})",
          R"({"user_id": "/u", "item_id": "/i", "event_type": {"constant": "view"}})" +
              std::string(1, kEnd) + R"({"u": "ann", "i": [1, {"x": null}]})",
          interaction.SerializeAsString()};
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  const std::string text(AsText(data, size));
  CheckRead(RecordMapping::OfProtobuf(), text);
  const size_t end = text.find(kEnd);
  const auto mapping = RecordMapping::ParseJsonMapping(text.substr(0, end));
  if (!mapping.ok()) {
    Require(absl::IsInvalidArgument(mapping.status()), "a bad mapping is an InvalidArgument");
    return 0;
  }
  CheckRead(*mapping, end == std::string::npos ? "" : text.substr(end + 1));
  return 0;
}
