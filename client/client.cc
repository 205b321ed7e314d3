#include "client/client.h"

#include <grpcpp/channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <future>
#include <utility>

#include "client/channel.h"
#include "groundswell/v1/admin.grpc.pb.h"
#include "groundswell/v1/interaction.grpc.pb.h"
#include "groundswell/v1/recommend.grpc.pb.h"

namespace groundswell {
namespace {

// gRFC A6: only UNAVAILABLE is safe to try again; throttled, so that retries never feed an
// overload.
constexpr char kServiceConfig[] = R"({
  "methodConfig": [{
    "name": [{"service": "groundswell.v1.RecommendationService"},
             {"service": "groundswell.v1.AdminService"}],
    "retryPolicy": {
      "maxAttempts": 3, "initialBackoff": "0.01s", "maxBackoff": "0.2s", "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }],
  "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}
})";

// Between two looks at whether a call is to be given up.
constexpr std::chrono::milliseconds kStopInterval{20};

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(const Client::Options& options, Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                              const Request& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + options.timeout);
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return ToStatus(status);
  return response;
}

template <typename Request>
Request InNamespace(Request request, const std::string& name_space) {
  if (request.namespace_().empty()) request.set_namespace_(name_space);
  return request;
}

}  // namespace

grpc::ChannelArguments RetryPolicy() {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  return arguments;
}

struct Client::Stubs {
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : recommend(channel), interaction(channel), admin(channel) {}

  v1::RecommendationService::Stub recommend;
  v1::InteractionService::Stub interaction;
  v1::AdminService::Stub admin;
};

Client::Client(Options options)
    : options_(std::move(options)),
      channel_(options_.channel != nullptr
                   ? options_.channel
                   // Without files there is nothing that could be wrong.
                   : *MakeChannel({.address = options_.address}, RetryPolicy())),
      stubs_(std::make_unique<Stubs>(channel_)) {}

Client::~Client() = default;

absl::StatusOr<v1::RecommendResponse> Client::Recommend(v1::RecommendRequest request) {
  return Call(options_, stubs_->recommend, &v1::RecommendationService::Stub::Recommend,
              InNamespace(std::move(request), options_.name_space));
}

absl::StatusOr<v1::BatchRecommendResponse> Client::BatchRecommend(
    v1::BatchRecommendRequest request) {
  for (v1::RecommendRequest& one : *request.mutable_requests()) {
    one = InNamespace(std::move(one), options_.name_space);
  }
  return Call(options_, stubs_->recommend, &v1::RecommendationService::Stub::BatchRecommend,
              request);
}

absl::StatusOr<v1::RankResponse> Client::Rank(v1::RankRequest request) {
  return Call(options_, stubs_->recommend, &v1::RecommendationService::Stub::Rank,
              InNamespace(std::move(request), options_.name_space));
}

absl::StatusOr<v1::SimilarItemsResponse> Client::SimilarItems(v1::SimilarItemsRequest request) {
  return Call(options_, stubs_->recommend, &v1::RecommendationService::Stub::SimilarItems,
              InNamespace(std::move(request), options_.name_space));
}

absl::StatusOr<v1::TraceRecommendResponse> Client::TraceRecommend(
    v1::TraceRecommendRequest request) {
  *request.mutable_recommend() =
      InNamespace(std::move(*request.mutable_recommend()), options_.name_space);
  return Call(options_, stubs_->recommend, &v1::RecommendationService::Stub::TraceRecommend,
              request);
}

absl::StatusOr<v1::GetUserStateResponse> Client::GetUserState(v1::GetUserStateRequest request) {
  return Call(options_, stubs_->recommend, &v1::RecommendationService::Stub::GetUserState,
              InNamespace(std::move(request), options_.name_space));
}

absl::StatusOr<v1::GetItemResponse> Client::GetItem(v1::GetItemRequest request) {
  return Call(options_, stubs_->recommend, &v1::RecommendationService::Stub::GetItem,
              InNamespace(std::move(request), options_.name_space));
}

absl::StatusOr<v1::ListItemsResponse> Client::ListItems(v1::ListItemsRequest request) {
  return Call(options_, stubs_->recommend, &v1::RecommendationService::Stub::ListItems,
              InNamespace(std::move(request), options_.name_space));
}

absl::StatusOr<v1::ListCategoriesResponse> Client::ListCategories(
    v1::ListCategoriesRequest request) {
  return Call(options_, stubs_->recommend, &v1::RecommendationService::Stub::ListCategories,
              InNamespace(std::move(request), options_.name_space));
}

absl::StatusOr<v1::RecordInteractionResponse> Client::RecordInteraction(
    v1::RecordInteractionRequest request) {
  return Call(options_, stubs_->interaction, &v1::InteractionService::Stub::RecordInteraction,
              InNamespace(std::move(request), options_.name_space));
}

absl::StatusOr<v1::ServerStatus> Client::GetServerStatus(v1::GetServerStatusRequest request) {
  return Call(options_, stubs_->admin, &v1::AdminService::Stub::GetServerStatus,
              InNamespace(std::move(request), options_.name_space));
}

absl::StatusOr<v1::UpsertItemResponse> Client::UpsertItem(v1::UpsertItemRequest request) {
  return Call(options_, stubs_->admin, &v1::AdminService::Stub::UpsertItem,
              InNamespace(std::move(request), options_.name_space));
}

absl::StatusOr<v1::UpsertItemsResponse> Client::UpsertItems(v1::UpsertItemsRequest request,
                                                            std::chrono::milliseconds timeout,
                                                            const std::function<bool()>& stopped) {
  for (v1::UpsertItemRequest& one : *request.mutable_requests()) {
    if (one.namespace_().empty()) one.set_namespace_(options_.name_space);
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  v1::UpsertItemsResponse response;
  bool answered = false;
  const auto call = [&] {
    const auto stream = stubs_->admin.UpsertItems(&context);
    // What is wrong with the stream, Finish tells.
    if (stream->Write(request)) {
      stream->WritesDone();
      answered = stream->Read(&response);
      v1::UpsertItemsResponse more;
      while (stream->Read(&more)) answered = false;  // not our server
    }
    return stream->Finish();
  };
  auto ended = std::async(stopped ? std::launch::async : std::launch::deferred, call);
  while (stopped && ended.wait_for(kStopInterval) != std::future_status::ready) {
    if (stopped()) context.TryCancel();
  }
  const grpc::Status status = ended.get();
  if (!status.ok()) return ToStatus(status);
  if (!answered) return absl::UnavailableError("the server did not answer the batch");
  return response;
}

std::unique_ptr<IngestStream> Client::Ingest(IngestStream::Options options) {
  if (options.name_space.empty()) options.name_space = options_.name_space;
  return std::make_unique<IngestStream>(channel_, std::move(options));
}

}  // namespace groundswell
