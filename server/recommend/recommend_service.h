// The gRPC service of the read side: checks the request, runs the pipeline, writes the response.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_RECOMMEND_SERVICE_H_
#define GROUNDSWELL_SERVER_RECOMMEND_RECOMMEND_SERVICE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/store/store.h"
#include "groundswell/v1/recommend.grpc.pb.h"
#include "server/pipeline/query.h"
#include "server/recommend/list_rules.h"
#include "server/recommend/ranked_lists.h"
#include "server/recommend/recommend_checks.h"
#include "server/recommend/shadow_ranking.h"
#include "server/recommend/unary_runner.h"

namespace groundswell {

class RecommendService final : public v1::RecommendationService::CallbackService {
 public:
  // All references must outlive the service.
  RecommendService(const GraphStore& store, RankedLists& lists, const ListRulesCell& list_rules,
                   ShadowRanking& shadow, UnaryRunner& runner, RequestTerms terms);

  grpc::ServerUnaryReactor* Recommend(grpc::CallbackServerContext* context,
                                      const v1::RecommendRequest* request,
                                      v1::RecommendResponse* response) override;
  grpc::ServerUnaryReactor* BatchRecommend(grpc::CallbackServerContext* context,
                                           const v1::BatchRecommendRequest* request,
                                           v1::BatchRecommendResponse* response) override;
  grpc::ServerUnaryReactor* Rank(grpc::CallbackServerContext* context,
                                 const v1::RankRequest* request,
                                 v1::RankResponse* response) override;
  grpc::ServerUnaryReactor* SimilarItems(grpc::CallbackServerContext* context,
                                         const v1::SimilarItemsRequest* request,
                                         v1::SimilarItemsResponse* response) override;
  grpc::ServerUnaryReactor* TraceRecommend(grpc::CallbackServerContext* context,
                                           const v1::TraceRecommendRequest* request,
                                           v1::TraceRecommendResponse* response) override;
  grpc::ServerUnaryReactor* GetUserState(grpc::CallbackServerContext* context,
                                         const v1::GetUserStateRequest* request,
                                         v1::GetUserStateResponse* response) override;
  grpc::ServerUnaryReactor* GetItem(grpc::CallbackServerContext* context,
                                    const v1::GetItemRequest* request,
                                    v1::GetItemResponse* response) override;
  grpc::ServerUnaryReactor* ListItems(grpc::CallbackServerContext* context,
                                      const v1::ListItemsRequest* request,
                                      v1::ListItemsResponse* response) override;
  grpc::ServerUnaryReactor* ListCategories(grpc::CallbackServerContext* context,
                                           const v1::ListCategoriesRequest* request,
                                           v1::ListCategoriesResponse* response) override;

 private:
  using Call = UnaryRunner::Call;

  absl::Status DoRecommend(const v1::RecommendRequest& request, Call& call,
                           v1::RecommendResponse& response);
  absl::Status DoBatchRecommend(const v1::BatchRecommendRequest& request, Call& call,
                                v1::BatchRecommendResponse& response);
  absl::Status DoRank(const v1::RankRequest& request, Call& call, v1::RankResponse& response);
  absl::Status DoSimilarItems(const v1::SimilarItemsRequest& request, Call& call,
                              v1::SimilarItemsResponse& response);
  absl::Status DoTraceRecommend(const v1::TraceRecommendRequest& request, Call& call,
                                v1::TraceRecommendResponse& response);
  absl::Status DoGetUserState(const v1::GetUserStateRequest& request, Call& call,
                              v1::GetUserStateResponse& response);
  absl::Status DoGetItem(const v1::GetItemRequest& request, const Call& call,
                         v1::GetItemResponse& response);
  absl::Status DoListItems(const v1::ListItemsRequest& request, const Call& call,
                           v1::ListItemsResponse& response);
  absl::Status DoListCategories(const v1::ListCategoriesRequest& request, const Call& call,
                                v1::ListCategoriesResponse& response);

  // Of an id that the catalogue does not have.
  absl::StatusOr<bool> WasRemoved(std::string_view item_id) const;

  // What comes from the call and not from its request.
  void Complete(const v1::RecommendRequest& request, const Call& call, RecommendQuery& query) const;
  // Of a list that is ranked for this request, and kept.
  absl::StatusOr<Page> FirstPage(const v1::RecommendRequest& request, RecommendQuery query,
                                 Call& call, StageDurations& durations);
  // Of a list that was kept.
  absl::StatusOr<Page> NextPage(const v1::RecommendRequest& request, size_t page_size);

  const GraphStore& store_;
  RankedLists& lists_;
  const ListRulesCell& list_rules_;
  ShadowRanking& shadow_;
  UnaryRunner& runner_;
  const RequestTerms terms_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_RECOMMEND_SERVICE_H_
