// StateDigest: 128 bits that tell whether two graphs are the same.
//
// The sum, modulo 2^128, of one hash (XXH3, 128 bits) per fact: every user with its cluster,
// every edge (user, item, count, latest interaction), every item that did not come with the
// snapshot. A sum does not depend on the order of its terms, so it is kept up to date by adding and
// subtracting, and two states that were reached by different batches, restarts or removals are
// equal exactly if their facts are. Users and items enter by their ids, never by an index: indices
// depend on who came first. It tells accidents, not an adversary who chooses ids to collide.
#ifndef GROUNDSWELL_GRAPH_STATE_STATE_DIGEST_H_
#define GROUNDSWELL_GRAPH_STATE_STATE_DIGEST_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "graph/ids.h"
#include "graph/state/user_state.h"

namespace groundswell {

class StateDigest {
 public:
  // 128 bits as two words; the empty graph's is 0.
  struct Words {
    uint64_t high = 0;
    uint64_t low = 0;
    bool operator==(const Words&) const = default;
  };

  StateDigest() = default;
  explicit StateDigest(Words words);

  void AddUser(std::string_view user_id, Cluster cluster);
  void RemoveUser(std::string_view user_id, Cluster cluster);
  void AddEdges(std::string_view user_id, std::string_view item_id, std::span<const Edge> edges);
  void RemoveEdges(std::string_view user_id, std::string_view item_id, std::span<const Edge> edges);
  void AddItem(std::string_view item_id, Cluster cluster);
  void RemoveItem(std::string_view item_id, Cluster cluster);

  Words words() const;
  // 32 hexadecimal digits.
  std::string ToString() const;
  bool operator==(const StateDigest&) const = default;

 private:
  unsigned __int128 sum_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STATE_STATE_DIGEST_H_
