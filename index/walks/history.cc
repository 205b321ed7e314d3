#include "index/walks/history.h"

#include "graph/state/user_edges.h"
#include "index/best_admitted.h"

namespace groundswell {
namespace {

// The smaller, the more the newest items count beside those taken often.
constexpr float kPlaceConstant = 60;

}  // namespace

std::vector<Candidate> RetrieveHistory(const UserState& user, const ItemFilter& filter,
                                       size_t count, HistoryScratch& scratch) {
  NewestEdges(user, kHistoryItemsMax, scratch.newest_edges);
  // From the user's own record, which a request has at hand: nothing is stored or kept in order.
  scratch.scored.clear();
  for (size_t place = 0; place < scratch.newest_edges.size(); ++place) {
    const ItemIndex item = user.edges[scratch.newest_edges[place]].item;
    // Of all edges to the item, where a window keeps each interaction.
    const auto taken = static_cast<float>(SumOf(user.EdgesTo(item)));
    scratch.scored.push_back({item, taken / (kPlaceConstant + 1 + static_cast<float>(place))});
  }
  return BestAdmitted(std::span<const HistoryScratch::Scored>(scratch.scored), filter, count,
                      kFromHistory);
}

}  // namespace groundswell
