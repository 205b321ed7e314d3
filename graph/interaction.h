// Interaction: one thing that a user did with an item, as the log stores it.
#ifndef GROUNDSWELL_GRAPH_INTERACTION_H_
#define GROUNDSWELL_GRAPH_INTERACTION_H_

#include <cstdint>
#include <string>

#include "graph/ids.h"

namespace groundswell {

struct Interaction {
  std::string event_id;  // made by the client; taken twice, it counts once
  std::string user_id;
  std::string item_id;
  std::string event_type;
  Count weight = 0;              // never 0; negative takes back
  int64_t event_time_us = 0;     // since 1970-01-01 UTC
  int64_t received_time_us = 0;  // server's clock; the fold never reads it
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_INTERACTION_H_
