// Interaction: one thing that a user did with an item, as the log stores it.
#ifndef GROUNDSWELL_GRAPH_LOG_INTERACTION_H_
#define GROUNDSWELL_GRAPH_LOG_INTERACTION_H_

#include <cstdint>
#include <optional>
#include <string>

#include "graph/ids.h"

namespace groundswell {

// The cluster of a user, as it was decided when this interaction made the user known.
struct AssignedCluster {
  Cluster cluster = 0;
  std::string clusters_of;  // digest of the snapshot
  bool operator==(const AssignedCluster&) const = default;
};

// Whether an interaction makes an item known that the catalogue does not have.
enum class ItemCreation : uint8_t {
  kNo,       // it is not applied then
  kAllowed,  // by the server that took it
  kDone,     // and it did: written into its record when it was first applied
};

// The largest weight of one interaction, given or taken back.
inline constexpr Count kWeightMax = 1'000'000;

struct Interaction {
  std::string event_id;  // made by the client; taken twice, it counts once
  std::string user_id;
  std::string item_id;
  std::string event_type;
  // At most kWeightMax; negative takes back; 0 hides the item from the user and counts nothing.
  Count weight = 0;
  int64_t event_time_us = 0;     // since 1970-01-01 UTC
  int64_t received_time_us = 0;  // server's clock; 0: not known
  std::optional<AssignedCluster> user_cluster;
  ItemCreation item_creation = ItemCreation::kNo;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_LOG_INTERACTION_H_
