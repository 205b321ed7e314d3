// RecordMapping: what a topic's records say, as interactions. Two forms:
//
//   Groundswell's own   each value is a groundswell.v1.Interaction in protobuf's binary form
//   JSON                each value is a JSON object, of which a mapping tells where what stands:
//
//     {
//       "user_id": "/customer/id",        JSON Pointers (RFC 6901); required, as is the item
//       "item_id": "/sku",
//       "event_type": {"path": "/kind", "values": {"buy": "purchase", "ping": null},
//                      "otherwise": "view"},
//       "event_time": "/at",              left out: the time of the record itself
//       "weight": "/quantity",            left out: that of the type
//       "event_id": "/id"                 left out: topic, partition and offset
//     }
//
// "event_type" may also be a pointer to the type as it is, or {"constant": "purchase"}. A value
// that becomes null is no interaction, and passed over; one that "values" lacks becomes
// "otherwise", or, without that, makes the record a bad one.
#ifndef GROUNDSWELL_CLIENT_KAFKA_RECORD_MAPPING_H_
#define GROUNDSWELL_CLIENT_KAFKA_RECORD_MAPPING_H_

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/kafka/kafka_topic.h"
#include "groundswell/v1/interaction.pb.h"

namespace groundswell {

// Bytes of an interaction's ids and of the name of its type: the server's own limit.
inline constexpr size_t kInteractionIdBytesMax = 256;

// Immutable.
class RecordMapping {
 public:
  // InvalidArgument, saying what to write, for what is no mapping.
  static absl::StatusOr<RecordMapping> ParseJsonMapping(std::string_view text);
  // Records are groundswell.v1.Interaction.
  static RecordMapping OfProtobuf();

  RecordMapping(RecordMapping&&) noexcept;
  RecordMapping& operator=(RecordMapping&&) noexcept;
  ~RecordMapping();

  // The interaction of a record; nullopt for one that is none: a tombstone, or of a type that the
  // mapping passes over. `source` and the record's place make its event id where it has none.
  // InvalidArgument, naming the field, for a bad record: ids are 1 to kInteractionIdBytesMax bytes,
  // and JSON nests 64 arrays and objects at most. So it has about 1 KiB. What a server alone can
  // tell (whether there is such an item, or such a type) is not asked.
  absl::StatusOr<std::optional<v1::Interaction>> Read(const KafkaRecord& record,
                                                      std::string_view source) const;

 private:
  struct JsonFields;
  RecordMapping();
  std::unique_ptr<const JsonFields> json_;  // none: protobuf
};

// "source/partition/offset".
std::string EventIdOf(std::string_view source, const KafkaRecord& record);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_KAFKA_RECORD_MAPPING_H_
