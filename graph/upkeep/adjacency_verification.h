// AdjacencyVerification: whether the adjacency in memory, both ways of it and the traces, is what
// the users' edges say.
//
// It is read while the applier changes it: a user who seems to differ may just have come by. So
// those are read again at batch edges, where memory and disk agree, a few at a time.
//
// Once a node had too many neighbours, edges may be missing (NeighborLists): then what is there is
// compared, and not what is not.
#ifndef GROUNDSWELL_GRAPH_UPKEEP_ADJACENCY_VERIFICATION_H_
#define GROUNDSWELL_GRAPH_UPKEEP_ADJACENCY_VERIFICATION_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "graph/fold/applier.h"
#include "graph/fold/interaction_adjacency.h"
#include "graph/state/user_state.h"
#include "graph/store/generation.h"
#include "graph/upkeep/verification.h"

namespace groundswell {

class AdjacencyVerification {
 public:
  // All references must outlive it.
  AdjacencyVerification(const InteractionAdjacency& adjacency, const Generation& generation,
                        Applier& applier)
      : adjacency_(adjacency), generation_(generation), applier_(applier) {}

  // Refers to this object. For one verification.
  VerifiedView View();

 private:
  struct Suspect {
    std::string user_id;
    UserIndex index{};
  };

  void Begin();
  void Visit(std::string_view user_id, const UserState& user);
  absl::Status Finish(Verification& result);
  absl::Status LookAgain(std::span<const Suspect> suspects, Verification& result);

  const InteractionAdjacency& adjacency_;
  const Generation& generation_;
  Applier& applier_;
  size_t kept_ = 0;  // edges at the moment: by user and item, in both directions
  size_t expected_ = 0;
  std::vector<Suspect> suspects_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_UPKEEP_ADJACENCY_VERIFICATION_H_
