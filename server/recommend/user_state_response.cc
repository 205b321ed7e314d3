#include "server/recommend/user_state_response.h"

#include <cstdint>
#include <string>
#include <vector>

#include "server/recommend/list_response.h"
#include "server/rpc/api_time.h"

namespace groundswell {
namespace {

int64_t Sum(std::span<const Edge> edges) {
  int64_t sum = 0;
  for (const Edge& edge : edges) sum += edge.count;
  return sum;
}

void WriteRecentItem(const LiveState& state, const UserState& user, const Edge& edge,
                     v1::RecentItem& item) {
  item.set_item_id(std::string(state.catalogue->Id(edge.item)));
  item.set_title(std::string(state.catalogue->Title(edge.item)));
  item.set_category(std::string(state.catalogue->Category(edge.item)));
  item.set_item_cluster(static_cast<int32_t>(state.graph->ClusterOf(edge.item)));
  item.set_count(Sum(user.EdgesTo(edge.item)));
  *item.mutable_last_time() = ToTimestamp(edge.last.time_us);
}

}  // namespace

void WriteUserState(const LiveState& state, const Applier::Progress& progress,
                    const UserStateQuery& query, const UserState& user, bool stale,
                    v1::GetUserStateResponse& response) {
  const Manifest& manifest = state.snapshot->manifest();
  response.mutable_freshness()->set_applied_offset(progress.applied_offset);
  *response.mutable_freshness()->mutable_newest_event_time() =
      ToTimestamp(progress.newest_event_time_us);
  response.set_user_id(query.user_id);
  response.set_has_embedding(ToInt(user.index) < manifest.users);
  response.set_user_cluster(static_cast<int32_t>(user.cluster));
  response.set_distinct_items(static_cast<int64_t>(user.item_count()));
  response.set_total_count(Sum(user.edges));

  std::vector<uint32_t> newest;
  NewestEdges(user, query.recent_items, newest);
  for (const uint32_t at : newest) {
    WriteRecentItem(state, user, user.edges[at], *response.add_recent_items());
  }
  for (const HiddenItem& hidden : user.hidden) {
    if (state.catalogue->IsRemoved(hidden.item)) continue;
    response.add_hidden_item_ids(std::string(state.catalogue->Id(hidden.item)));
  }
  std::vector<Count> one_hop(manifest.item_clusters);
  std::vector<Count> two_hop(manifest.user_clusters);
  state.graph->GatherUser(user, one_hop, two_hop);
  response.mutable_one_hop()->Add(one_hop.begin(), one_hop.end());
  response.mutable_two_hop()->Add(two_hop.begin(), two_hop.end());
  response.set_snapshot_version(manifest.FullVersion());
  if (stale) response.add_degradations(ToApi(DegradedStep::kStaleState));
}

}  // namespace groundswell
