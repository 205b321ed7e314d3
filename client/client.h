// Client: calls a Groundswell server. Usage:
//
//   groundswell::Client client({.address = "localhost:7100"});
//   groundswell::v1::RecommendRequest request;
//   request.set_user_id("17850");
//   auto response = client.Recommend(request);
//   if (!response.ok()) std::cerr << response.status() << '\n';
//
// A client connects when it is first used and again when a connection breaks; calls that fail with
// UNAVAILABLE are tried again by gRPC itself, within their deadline. Thread-safe.
#ifndef GROUNDSWELL_CLIENT_CLIENT_H_
#define GROUNDSWELL_CLIENT_CLIENT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/ingest_stream.h"
#include "groundswell/v1/admin.pb.h"
#include "groundswell/v1/interaction.pb.h"
#include "groundswell/v1/recommend.pb.h"

namespace grpc {
class Channel;
class ChannelArguments;
}  // namespace grpc

namespace groundswell {

class Client {
 public:
  struct Options {
    std::string address = "localhost:7100";    // plain TCP, for want of a channel
    std::shared_ptr<grpc::Channel> channel;    // see MakeChannel (client/channel.h)
    std::string name_space = "default";        // set in requests that name none
    std::chrono::milliseconds timeout{1'000};  // of every unary call
  };

  explicit Client(Options options);
  ~Client();

  // Errors carry the server's code, and its message with the reason in brackets.
  absl::StatusOr<v1::RecommendResponse> Recommend(v1::RecommendRequest request);
  absl::StatusOr<v1::BatchRecommendResponse> BatchRecommend(v1::BatchRecommendRequest request);
  absl::StatusOr<v1::RankResponse> Rank(v1::RankRequest request);
  absl::StatusOr<v1::SimilarItemsResponse> SimilarItems(v1::SimilarItemsRequest request);
  absl::StatusOr<v1::TraceRecommendResponse> TraceRecommend(v1::TraceRecommendRequest request);
  absl::StatusOr<v1::GetUserStateResponse> GetUserState(v1::GetUserStateRequest request);
  absl::StatusOr<v1::GetItemResponse> GetItem(v1::GetItemRequest request);
  absl::StatusOr<v1::ListItemsResponse> ListItems(v1::ListItemsRequest request);
  absl::StatusOr<v1::ListCategoriesResponse> ListCategories(v1::ListCategoriesRequest request);
  absl::StatusOr<v1::RecordInteractionResponse> RecordInteraction(
      v1::RecordInteractionRequest request);
  absl::StatusOr<v1::ServerStatus> GetServerStatus(v1::GetServerStatusRequest request);
  absl::StatusOr<v1::UpsertItemResponse> UpsertItem(v1::UpsertItemRequest request);

  // One batch of 1 to 1,000 items, each of which is done or refused on its own. It may last longer
  // than an answer to a question. Cancelled once `stopped`, which is asked all the time.
  absl::StatusOr<v1::UpsertItemsResponse> UpsertItems(
      v1::UpsertItemsRequest request, std::chrono::milliseconds timeout = std::chrono::minutes(1),
      const std::function<bool()>& stopped = nullptr);

  // Opens a stream; see IngestStream.
  std::unique_ptr<IngestStream> Ingest(IngestStream::Options options);

  const Options& options() const { return options_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  struct Stubs;  // what gRPC generates, and users need not compile

  const Options options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<Stubs> stubs_;
};

// The retry policy of this client, for the channels that it is given.
grpc::ChannelArguments RetryPolicy();

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_CLIENT_H_
