// What connections to the gRPC addresses may take, before anybody knows who is behind them.
#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/raw_peer.h"
#include "tests/integration/sample_server.h"
#include "tests/support/sanitized.h"
#include "tests/support/sha256.h"

namespace groundswell {
namespace {

class ConnectionLimitsTest : public testing::Test {
 protected:
  ConnectionLimitsTest() { ImportSample(directory_.File("db")); }

  void Start(std::vector<std::string> flags) {
    server_.emplace(directory_.File("db"), std::move(flags));
    stubs_.emplace(server_->grpc_address());
    for (int i = 0; i < 20; ++i) ExpectAnHonestCall();  // what is made once is made
  }

  void ExpectAnHonestCall() {
    v1::RecommendRequest request;
    request.set_user_id(kCustomer);
    v1::RecommendResponse list;
    const auto context = NewContext();
    context->set_wait_for_ready(true);
    const grpc::Status status = stubs_->recommend->Recommend(context.get(), request, &list);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  // "VmRSS:", or "VmHWM:", the most that it ever was.
  int64_t Mib(std::string_view what) const {
    std::ifstream status("/proc/" + std::to_string(server_->pid()) + "/status");
    int64_t kib = 0;
    for (std::string word; status >> word;) {
      if (word == what) status >> kib;
    }
    return kib / 1024;
  }
  int64_t ResidentMib() const { return Mib("VmRSS:"); }

  // 0 when there is none of this name and these labels.
  double MetricOf(const std::string& name) const {
    const std::string metrics = HttpGet(server_->http_port(), "/metrics");
    const size_t at = metrics.find("\n" + name + " ");
    return at == std::string::npos ? 0 : std::stod(metrics.substr(at + name.size() + 2));
  }

  // One call with these bytes as its request.
  grpc::Status CallWith(const std::string& path, const std::string& bytes) const {
    grpc::GenericStub stub(stubs_->channel);
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    const auto context = NewContext();
    std::promise<grpc::Status> answered;
    stub.UnaryCall(context.get(), path, {}, &request, &response,
                   [&](const grpc::Status& status) { answered.set_value(status); });
    return answered.get_future().get();
  }

  static std::string EmptyEntries(std::string_view entry) {
    std::string bytes;
    while (bytes.size() < (size_t{4} << 20) - 1'024) bytes.append(entry);
    return bytes;
  }

  TemporaryDirectory directory_;
  std::optional<ServerProcess> server_;
  std::optional<Stubs> stubs_;
};

TEST_F(ConnectionLimitsTest, TheCallsOfOneConnectionAtOnceAreBounded) {
  Start({"--server.connection_calls_max=10"});
  Http2Peer peer(server_->grpc_port());
  EXPECT_TRUE(Becomes([&] {
    peer.Listen(100);
    return peer.streams_max().has_value();
  }));
  EXPECT_EQ(peer.streams_max(), 10);
  // It has heard of it, and goes beyond.
  for (uint32_t call = 0; call < 20; ++call) peer.Say(BeginOfCall(2 * call + 1));
  EXPECT_TRUE(peer.peer().IsHungUpOn());
  ExpectAnHonestCall();
}

// Each of the calls announces as much as a message may have, sends nearly all of it, and stays.
TEST_F(ConnectionLimitsTest, MessagesThatNeverEndTakeNoMoreThanTheyMayTogether) {
  constexpr size_t kMessage = size_t{4} << 20;
  constexpr uint32_t kCalls = 60;
  Start({"--server.receive_mb=32"});
  const int64_t before = ResidentMib();
  const std::string nearly_all(kMessage - 65'536, '\x0a');
  std::vector<Http2Peer> peers;
  for (int i = 0; i < 2; ++i) peers.emplace_back(server_->grpc_port());
  int64_t most = 0;
  for (Http2Peer& peer : peers) {
    for (uint32_t call = 0; call < kCalls && peer.is_open(); ++call) {
      const uint32_t stream = 2 * call + 1;
      peer.Say(BeginOfCall(stream, "/groundswell.v1.RecommendationService/BatchRecommend"));
      peer.SendData(stream, std::string_view("\0\x00\x40\x00\x00", 5));
      // Until the server grants no more for a while.
      size_t sent = 0;
      for (int silent = 0; silent < 5 && sent < nearly_all.size() && peer.is_open();) {
        const size_t now = peer.SendData(stream, std::string_view(nearly_all).substr(sent));
        sent += now;
        silent = now > 0 ? 0 : silent + 1;
        peer.Listen(now > 0 ? 0 : 20);
      }
      most = std::max(most, ResidentMib());
    }
  }
  if (!kSanitized) {
    EXPECT_LT(most, before + 32 + 128) << "of 480 that were sent";
  }
  // For room gRPC ends one connection or the other, that of an honest client too.
  v1::RecommendRequest request;
  request.set_user_id(kCustomer);
  EXPECT_TRUE(Becomes([&] {
    v1::RecommendResponse list;
    const auto context = NewContext();
    context->set_wait_for_ready(true);
    return stubs_->recommend->Recommend(context.get(), request, &list).ok();
  }));
}

TEST_F(ConnectionLimitsTest, RequestsThatWouldBecomeHundredsOfMegabytesAreNotBuilt) {
  using namespace std::string_view_literals;
  Start({});
  const int64_t before = Mib("VmHWM:");
  for (const auto& [method, entry] :
       {std::pair("/groundswell.v1.RecommendationService/BatchRecommend", "\x0a\x00"sv),
        std::pair("/groundswell.v1.RecommendationService/Rank", "\x22\x00"sv),
        std::pair("/groundswell.v1.InteractionService/Ingest", "\x12\x00"sv),
        std::pair("/groundswell.v1.AdminService/SetListRules", "\xfa\x01\x00"sv),
        std::pair("/groundswell.v1.AdminService/ReadLog", "\xfa\x01\x00"sv)}) {
    const grpc::Status status = CallWith(method, EmptyEntries(entry));
    EXPECT_EQ(ReasonOf(RichStatus(status)), "REQUEST_TOO_LARGE") << method;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
  }
  if (!kSanitized) {
    EXPECT_LT(Mib("VmHWM:"), before + 64);
  }
  ExpectAnHonestCall();
}

// In the smallest pieces, which gRPC keeps in a hundred times their size (CVE-2023-33953).
TEST_F(ConnectionLimitsTest, HeadersThatNeverEndEndTheirConnection) {
  constexpr int kPeers = 6;
  Start({});
  const int64_t before = Mib("VmHWM:");
  // "a: 1" into the table, and from there over and over.
  const std::string begin = Frame(FrameType::kHeaders, 0, 1,
                                  "\x83\x86\x40\x01"
                                  "a"
                                  "\x01"
                                  "1");
  std::string more;
  for (int i = 0; i < 500; ++i) {
    more += Frame(FrameType::kContinuation, 0, 1, std::string(100, '\xbe'));
  }
  for (int i = 0; i < kPeers; ++i) {
    const Peer peer(server_->grpc_port());
    bool listens = peer.Say(Greeting() + begin);
    for (int piece = 0; listens && piece < 20; ++piece) listens = peer.Say(more);
    EXPECT_TRUE(peer.IsHungUpOn());
    ExpectAnHonestCall();
  }
  if (!kSanitized) {
    EXPECT_LT(Mib("VmHWM:"), before + 64) << "of 600";
  }
  EXPECT_EQ(MetricOf("groundswell_long_header_blocks_total"), kPeers);
}

// More than gRPC takes, in frames as it sends them: gRPC refuses the call, and may hang up.
TEST_F(ConnectionLimitsTest, TooMuchMetadataIsGrpcsOwnToRefuse) {
  Start({});
  for (const size_t bytes : {size_t{20'000}, size_t{40'000}}) {
    const Stubs stubs(server_->grpc_address());
    v1::ServerStatus answer;
    const auto context = NewContext();
    context->AddMetadata("much", std::string(bytes, 'm'));
    EXPECT_FALSE(stubs.admin->GetServerStatus(context.get(), {}, &answer).ok());
  }
  EXPECT_EQ(MetricOf("groundswell_long_header_blocks_total"), 0);
}

TEST_F(ConnectionLimitsTest, ALongQuestionToReflectionIsRefusedBeforeItIsDecoded) {
  Start({});
  const int64_t before = Mib("VmHWM:");
  std::string fields;  // that no message has
  while (fields.size() < (size_t{4} << 20) - 1'024) fields.append("\xf8\x7f\x01");
  for (const char* version : {"v1", "v1alpha"}) {
    const std::string path =
        "/grpc.reflection." + std::string(version) + ".ServerReflection/ServerReflectionInfo";
    const grpc::Status status = CallWith(path, fields);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_NE(status.error_message().find("65536"), std::string::npos) << status.error_message();
  }
  if (!kSanitized) {
    EXPECT_LT(Mib("VmHWM:"), before + 32);
  }
}

// Refused, and forgotten but for the acknowledgement.
TEST_F(ConnectionLimitsTest, AnIdleStreamKeepsNothingOfWhatItSent) {
  constexpr int kStreams = 40;
  Start({});
  const int64_t before = ResidentMib();
  v1::IngestRequest request;
  *request.add_interactions() = NewInteraction("idle", std::string(4'000'000, 'u'), kItem);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReaderWriter<v1::IngestRequest, v1::IngestResponse>>>
      streams;
  for (int i = 0; i < kStreams; ++i) {
    contexts.push_back(NewContext());
    streams.push_back(stubs_->interaction->Ingest(contexts.back().get()));
    EXPECT_TRUE(streams.back()->Write(request));
    v1::IngestResponse response;
    EXPECT_TRUE(streams.back()->Read(&response));
    EXPECT_EQ(response.refusals_size(), 1);
  }
  if (!kSanitized) {
    EXPECT_TRUE(Becomes([&] { return ResidentMib() < before + 64; }))
        << before << " -> " << ResidentMib();
  }
  for (const auto& context : contexts) context->TryCancel();
}

// A batch of refused ones waits in memory like any other.
TEST_F(ConnectionLimitsTest, WhoFetchesNoAcknowledgementsIsNotReadFrom) {
  using namespace std::string_view_literals;
  constexpr int kBatch = 1'000;
  Start({"--ingest.stream_inflight_max=1000"});
  v1::IngestRequest request;
  for (int i = 0; i < kBatch; ++i) {
    *request.add_interactions() = NewInteraction("unread", "ann", "no item of the catalogue");
  }
  const std::string bytes = request.SerializeAsString();
  std::string message(1, '\0');  // not compressed
  for (const int shift : {24, 16, 8, 0}) {
    message.push_back(static_cast<char>(bytes.size() >> shift));
  }
  message += bytes;
  const auto refused = [&] {
    return MetricOf("groundswell_events_total{outcome=\"refused\",type=\"purchase\"}");
  };
  Http2Peer peer(server_->grpc_port());
  peer.Say(Frame(FrameType::kSettings, 0, 0, kNoWindow));
  peer.Say(BeginOfCall(1));
  std::string_view unsent = message;
  const auto send = [&] {
    unsent.remove_prefix(peer.SendData(1, unsent));
    peer.Listen(20);
    return unsent.empty();
  };
  EXPECT_TRUE(Becomes(send));
  EXPECT_TRUE(Becomes([&] { return refused() == kBatch; })) << refused();
  // As much as the windows let, and no more of it is looked at.
  const std::string many = message + message + message;
  unsent = many;
  for (int i = 0; i < 50; ++i) send();
  EXPECT_EQ(refused(), kBatch);
  ExpectAnHonestCall();
}

TEST_F(ConnectionLimitsTest, WhoMayNotCallIsToldSoBeforeHisRequestIsRead) {
  const std::string clients = directory_.File("clients.toml");
  std::ofstream(clients) << "[[client]]\nname = \"shop\"\ntoken_sha256 = \"" << Sha256("secret")
                         << "\"\nrights = [\"read\"]\n";
  server_.emplace(directory_.File("db"),
                  std::vector<std::string>{"--access.clients_file=" + clients});
  stubs_.emplace(server_->grpc_address());
  for (const std::string& bytes : {std::string("\xff\xff"), EmptyEntries("\x0a")}) {
    for (const char* method : {"RecommendationService/BatchRecommend", "AdminService/GetListRules",
                               "AdminService/ReadLog", "InteractionService/ForgetUser"}) {
      EXPECT_EQ(CallWith(std::string("/groundswell.v1.") + method, bytes).error_code(),
                grpc::StatusCode::UNAUTHENTICATED)
          << method;
    }
  }
  // Nor is a stream waited for.
  const auto context = NewContext();
  const auto stream = stubs_->interaction->Ingest(context.get());
  v1::IngestResponse nothing;
  EXPECT_FALSE(stream->Read(&nothing));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(ConnectionLimitsTest, WhileSilentPeersHoldEveryConnectionOthersGetInInTime) {
  server_.emplace(directory_.File("db"), std::vector<std::string>{"--server.grpc_idle_s=1"},
                  Environment{},
                  std::vector<std::string>{"/usr/bin/prlimit", "--nofile=256:256", "--"});
  std::vector<Peer> peers;
  for (int i = 0; i < 300; ++i) peers.emplace_back(server_->grpc_port()).Say(Greeting());
  stubs_.emplace(server_->grpc_address());
  ExpectAnHonestCall();
  const std::string metrics = HttpGet(server_->http_port(), "/metrics");
  EXPECT_EQ(metrics.find("\ngroundswell_connections_turned_away_total 0"), std::string::npos);
  EXPECT_NE(metrics.find("\ngroundswell_connections_turned_away_total "), std::string::npos);
}

TEST_F(ConnectionLimitsTest, AConnectionWithoutACallIsEndedAndAClientConnectsAgain) {
  Start({"--server.grpc_idle_s=1", "--server.connect_address=127.0.0.1:0"});
  Http2Peer silent(server_->grpc_port());
  EXPECT_TRUE(silent.peer().IsHungUpOn());
  ExpectAnHonestCall();  // whose own connection was ended likewise
  // What comes over HTTP has a connection within the process, which stays.
  const Peer over_http(server_->connect_port());
  over_http.Say(
      "POST /groundswell.v1.AdminService/GetServerStatus HTTP/1.1\r\nHost: x\r\n"
      "Content-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
  EXPECT_EQ(over_http.HearToTheEnd().substr(0, 12), "HTTP/1.1 200");
}

TEST_F(ConnectionLimitsTest, PingsAreTakenAsOftenAsTheSettingSays) {
  constexpr int kPings = 50;
  const auto ping = [&](Http2Peer& peer) {
    for (int sent = 1; sent <= kPings && peer.is_open() && !peer.was_sent_away(); ++sent) {
      peer.Say(Frame(FrameType::kPing, 0, 0, "01234567"));
      EXPECT_TRUE(Becomes([&] {
        peer.Listen(100);
        return peer.pings_answered() == sent || peer.was_sent_away() || !peer.is_open();
      }));
    }
  };
  Start({"--server.ping_interval_min_ms=0"});
  {
    Http2Peer peer(server_->grpc_port());
    ping(peer);
    EXPECT_EQ(peer.pings_answered(), kPings);
    EXPECT_FALSE(peer.was_sent_away());
  }
  EXPECT_EQ(server_->Stop(SIGTERM), 0);
  Start({"--server.ping_interval_min_ms=3600000"});
  Http2Peer peer(server_->grpc_port());
  ping(peer);
  EXPECT_TRUE(peer.was_sent_away());
  EXPECT_LT(peer.pings_answered(), 10);
}

}  // namespace
}  // namespace groundswell
