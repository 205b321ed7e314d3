#include "server/process/http_endpoint.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "server/process/http_server.h"
#include "tests/unit/server/http_peer.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kHealth = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

// Sends `request` and returns all that comes back; "" when nobody listens.
std::string Exchange(int port, std::string_view request) {
  const Peer peer;
  return peer.Connect(port) && peer.Send(request) ? peer.ReadAll() : "";
}

std::string Get(int port, const std::string& path) {
  return Exchange(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

HttpEndpoint::Sources Fixed(std::string metrics = "a 1\n", std::string reason = "") {
  return {[metrics] { return metrics; }, [reason] { return reason; }};
}

std::unique_ptr<HttpEndpoint> StartOrDie(HttpEndpoint::Sources sources,
                                         const HttpEndpoint::Limits& limits = {}) {
  auto endpoint = HttpEndpoint::Start("127.0.0.1:0", std::move(sources), limits);
  EXPECT_TRUE(endpoint.ok()) << endpoint.status();
  return std::move(endpoint).value();
}

// True once `condition` is; false when it is not within ten seconds.
bool Eventually(const std::function<bool()>& condition) {
  const auto end = steady_clock::now() + std::chrono::seconds(10);
  while (steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

size_t CountDescriptors() {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                                           std::filesystem::directory_iterator()));
}

TEST(HttpEndpointTest, APortInUseIsAnErrorThatNamesItAndTheRemedy) {
  const auto first = StartOrDie(Fixed());
  const std::string address = "127.0.0.1:" + std::to_string(first->port());
  const absl::Status status = HttpEndpoint::Start(address, Fixed(), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(address));
  EXPECT_THAT(std::string(status.message()), HasSubstr("not in use"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("Address already in use"));
}

TEST(HttpEndpointTest, AnAddressThatIsNoneIsAnError) {
  for (const char* address : {"nonsense", "127.0.0.1:99999", "256.1.1.1:0", ""}) {
    EXPECT_FALSE(HttpEndpoint::Start(address, Fixed(), {}).ok()) << address;
  }
}

TEST(HttpEndpointTest, AnAddressOfIpv6StandsInBrackets) {
  const auto endpoint = HttpEndpoint::Start("[::1]:0", Fixed(), {});
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_GT((*endpoint)->port(), 0);
}

TEST(HttpEndpointTest, UnknownPathsAndBrokenRequestsAreRefused) {
  const auto endpoint = StartOrDie(Fixed());
  EXPECT_THAT(Get(endpoint->port(), "/"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Get(endpoint->port(), "/../../etc/passwd"), Not(HasSubstr("root:")));
  EXPECT_THAT(Exchange(endpoint->port(), "\x16\x03\x01 nonsense\r\n\r\n"),
              Not(HasSubstr("200 OK")));
  EXPECT_THAT(Get(endpoint->port(), "/healthz"), StartsWith("HTTP/1.1 200")) << "still serving";
}

TEST(HttpEndpointTest, NotReadyIs503WithTheReason) {
  std::atomic<bool> ready = false;
  const auto endpoint = StartOrDie(
      {[] { return std::string(); },
       [&ready] { return ready ? std::string() : std::string("log is being applied"); }});
  const std::string answer = Get(endpoint->port(), "/readyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("log is being applied"));
  EXPECT_THAT(Get(endpoint->port(), "/healthz"), StartsWith("HTTP/1.1 200"));
  ready = true;
  EXPECT_THAT(Get(endpoint->port(), "/readyz"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpEndpointTest, AnExceptionBecomesA500) {
  const auto endpoint = StartOrDie(
      {[]() -> std::string { throw std::runtime_error("no metrics"); }, [] { return ""; }});
  EXPECT_THAT(Get(endpoint->port(), "/metrics"), StartsWith("HTTP/1.1 500"));
}

TEST(HttpEndpointTest, MetricsHaveThePrometheusContentTypeAndTheWholeBody) {
  const std::string body(300'000, 'x');
  const auto endpoint = StartOrDie(Fixed(body));
  const std::string answer = Get(endpoint->port(), "/metrics");
  EXPECT_THAT(answer.substr(0, 300), HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n" + body));
}

TEST(HttpEndpointTest, ManyClientsAtOnceAreAllAnswered) {
  const auto endpoint = StartOrDie(Fixed());
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        if (Get(endpoint->port(), "/metrics").ends_with("a 1\n")) ++answered;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 80);
}

TEST(HttpEndpointTest, HeadHasTheLengthAndNoBody) {
  const auto endpoint = StartOrDie(Fixed());
  const std::string answer =
      Exchange(endpoint->port(), "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST(HttpEndpointTest, OtherMethodsAreToldWhichAreAllowed) {
  const auto endpoint = StartOrDie(Fixed());
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "BREW"}) {
    const std::string answer = Exchange(
        endpoint->port(),
        std::string(method) + " /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 405")) << method;
    EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n")) << method;
  }
}

TEST(HttpEndpointTest, WhatFollowsAQuestionMarkIsNotPartOfThePath) {
  const auto endpoint = StartOrDie(Fixed());
  EXPECT_THAT(Get(endpoint->port(), "/healthz?verbose=1"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpEndpointTest, AnOldClientIsAnsweredOnce) {
  const auto endpoint = StartOrDie(Fixed());
  const std::string answer = Exchange(endpoint->port(), "GET /readyz HTTP/1.0\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.0 200 OK"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\nready\n"));
}

TEST(HttpEndpointTest, AConnectionIsKeptForTheNextRequest) {
  const auto endpoint = StartOrDie(Fixed());
  const Peer peer(endpoint->port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(peer.Send(kHealth));
    EXPECT_THAT(peer.ReadUntil("ok\n"), StartsWith("HTTP/1.1 200")) << i;
  }
}

TEST(HttpEndpointTest, PipelinedRequestsAreAnsweredInTheirOrder) {
  const auto endpoint = StartOrDie(Fixed());
  const std::string answers =
      Exchange(endpoint->port(),
               "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: "
               "x\r\n\r\nHEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
               "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /after "
               "HTTP/1.1\r\nHost: x\r\n\r\n");
  const size_t metrics = answers.find("a 1\n");
  const size_t nowhere = answers.find("404");
  const size_t ready = answers.find("ready\n");
  EXPECT_LT(metrics, nowhere);
  EXPECT_LT(nowhere, ready);
  EXPECT_EQ(ready + 6, answers.size()) << answers;
}

TEST(HttpEndpointTest, AHeaderAboveTheLimitIsRefused) {
  const auto endpoint = StartOrDie(Fixed());
  const auto with = [](size_t bytes) {
    return "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nA: " +
           std::string(bytes, 'a') + "\r\n\r\n";
  };
  EXPECT_THAT(Exchange(endpoint->port(), with(8'000)), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Exchange(endpoint->port(), with(9'000)), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(Exchange(endpoint->port(), "GET /" + std::string(20'000, 'a')),
              StartsWith("HTTP/1.1 431"));
}

TEST(HttpEndpointTest, ABodyAboveTheLimitIsRefusedHoweverItIsAnnounced) {
  const auto endpoint = StartOrDie(Fixed());
  const std::string get = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
  EXPECT_THAT(
      Exchange(endpoint->port(), get + "Content-Length: 1024\r\n\r\n" + std::string(1'024, 'x')),
      StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Exchange(endpoint->port(), get + "Content-Length: 1025\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  const std::string chunk = "200\r\n" + std::string(0x200, 'x') + "\r\n";
  const std::string chunked = get + "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_THAT(Exchange(endpoint->port(), chunked + chunk + "0\r\n\r\n"),
              StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Exchange(endpoint->port(), chunked + chunk + chunk + chunk),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Exchange(endpoint->port(), chunked + "5;" + std::string(20'000, 'e')),
              StartsWith("HTTP/1.1 413"));
}

// With it unknown, where the body ends is too: what follows the header is no second request.
TEST(HttpEndpointTest, ABodyInACodingThatIsNotKnownIsNoSecondRequest) {
  const auto endpoint = StartOrDie(Fixed());
  for (const std::string coding :
       {"xchunked", "gzip", "gzip, chunked", "identity", "chunked\r\nTransfer-Encoding: gzip"}) {
    const std::string answers =
        Exchange(endpoint->port(),
                 "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: " + coding +
                     "\r\n\r\nGET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const bool is_twice = coding.find("\r\n") != coding.npos;  // which Beast itself refuses
    EXPECT_THAT(answers, StartsWith(is_twice ? "HTTP/1.1 400" : "HTTP/1.1 501")) << coding;
    EXPECT_EQ(answers.find("HTTP/1.1", 1), std::string::npos) << answers;
  }
}

TEST(HttpEndpointTest, RequestsAreHeldToTheRulesOfHttp) {
  const auto endpoint = StartOrDie(Fixed());
  const auto answer = [&](const std::string& line, const std::string& fields) {
    return Exchange(endpoint->port(), line + "\r\n" + fields + "Connection: close\r\n\r\n")
        .substr(0, 12);
  };
  const std::string get = "GET /healthz HTTP/1.1";
  EXPECT_EQ(answer(get, ""), "HTTP/1.1 400") << "without Host";
  EXPECT_EQ(answer(get, "Host: x\r\nHost: y\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(answer(get, "Host:\r\n"), "HTTP/1.1 200") << "an empty one is one";
  EXPECT_EQ(answer("GET /healthz HTTP/1.0", ""), "HTTP/1.0 200");
  EXPECT_EQ(answer(get, "Host: x\r\nExpect: bogus\r\n"), "HTTP/1.1 417");
  EXPECT_EQ(answer("GET /healthz HTTP/1.0", "Expect: bogus\r\n"), "HTTP/1.0 200");
  EXPECT_EQ(answer(get, "Host: x\r\nExpect: 100-Continue\r\n"), "HTTP/1.1 100");
  for (const char* const target :
       {"http://x/healthz", "HTTP://x:7101/healthz?a=/b", "https://[::1]:7101/healthz"}) {
    EXPECT_EQ(answer("GET " + std::string(target) + " HTTP/1.1", "Host: x\r\n"), "HTTP/1.1 200")
        << target;
  }
  for (const char* const target : {"http://x", "http://x?/healthz", "http:/healthz"}) {
    EXPECT_EQ(answer("GET " + std::string(target) + " HTTP/1.1", "Host: x\r\n"), "HTTP/1.1 404")
        << target;
  }
}

TEST(HttpEndpointTest, WhatNeverEndsIsNotTakenForLong) {
  const auto endpoint = StartOrDie(Fixed());
  const std::string headers = "a: " + std::string(1 << 20, 'y') + "\r\n";
  const std::string chunk = "100000\r\n" + std::string(1 << 20, 'x') + "\r\n";
  for (const auto& [first, more] :
       {std::pair("GET /metrics HTTP/1.1\r\nHost: x\r\n", headers),
        std::pair("POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                  chunk)}) {
    const Peer peer(endpoint->port());
    ASSERT_TRUE(peer.Send(first));
    int sent = 0;  // what the kernel holds for both sides is some MiB
    while (sent < 64 && peer.Send(more)) ++sent;
    EXPECT_LT(sent, 64) << first;
  }
}

TEST(HttpEndpointTest, SilentAndTricklingPeersHoldNobodyUp) {
  std::atomic<int> cut_off = 0;
  HttpEndpoint::Sources sources = Fixed();
  sources.on_cut_off = [&cut_off] { ++cut_off; };
  const auto endpoint = StartOrDie(std::move(sources), {.transfer = std::chrono::minutes(1)});
  std::vector<Peer> peers;
  for (int i = 0; i < 100; ++i) {
    peers.emplace_back(endpoint->port());
    if (i % 2 == 0) peers.back().Send("GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: ");
  }
  EXPECT_THAT(Get(endpoint->port(), "/readyz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get(endpoint->port(), "/metrics"), StartsWith("HTTP/1.1 200"));
  EXPECT_GE(cut_off, 100 + 1 - 64);
  EXPECT_TRUE(peers.front().IsClosed()) << "the oldest gave way";
}

TEST(HttpEndpointTest, ARequestMustBeWholeInTimeHoweverItTrickles) {
  std::atomic<int> cut_off = 0;
  HttpEndpoint::Sources sources = Fixed();
  sources.on_cut_off = [&cut_off] { ++cut_off; };
  const auto endpoint = StartOrDie(std::move(sources), {.transfer = milliseconds(200)});
  const Peer silent(endpoint->port());
  const Peer trickling(endpoint->port());
  const Peer second_request(endpoint->port());
  ASSERT_TRUE(trickling.Send("GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "));
  ASSERT_TRUE(second_request.Send(kHealth));
  EXPECT_THAT(second_request.ReadUntil("ok\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(Eventually([&] { return !trickling.Send("a") && !second_request.Send("G"); }));
  EXPECT_TRUE(silent.IsClosed());
  EXPECT_TRUE(Eventually([&] { return cut_off == 3; }));
}

TEST(HttpEndpointTest, AnAnswerMustBeFetchedInTime) {
  std::atomic<int> cut_off = 0;
  HttpEndpoint::Sources sources = Fixed(std::string(64 << 20, 'x'));
  sources.on_cut_off = [&cut_off] { ++cut_off; };
  const auto endpoint = StartOrDie(std::move(sources), {.transfer = milliseconds(200)});
  const Peer peer(endpoint->port());
  ASSERT_TRUE(peer.Send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_TRUE(Eventually([&] { return cut_off == 1; }));
  EXPECT_LT(peer.ReadAll().size(), size_t{64} << 20);
}

TEST(HttpEndpointTest, AKeptConnectionEndsWhenItIsIdle) {
  const auto endpoint = StartOrDie(Fixed(), {.idle = milliseconds(50)});
  const Peer peer(endpoint->port());
  ASSERT_TRUE(peer.Send(kHealth));
  EXPECT_THAT(peer.ReadUntil("ok\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(peer.IsClosed());
}

TEST(HttpEndpointTest, WhoSentNoWholeRequestGivesWayBeforeWhoDid) {
  const auto endpoint = StartOrDie(Fixed(), {.connections_max = 2});
  const Peer kept(endpoint->port());
  ASSERT_TRUE(kept.Send(kHealth));
  EXPECT_THAT(kept.ReadUntil("ok\n"), StartsWith("HTTP/1.1 200"));
  const Peer silent(endpoint->port());
  EXPECT_THAT(Get(endpoint->port(), "/readyz"), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(silent.IsClosed());
  ASSERT_TRUE(kept.Send(kHealth));
  EXPECT_THAT(kept.ReadUntil("ok\n"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpEndpointTest, HealthChecksDoNotWaitForMetricsThatTakeLong) {
  std::promise<std::string> metrics;
  const auto endpoint = StartOrDie({[&] { return metrics.get_future().get(); }, [] { return ""; }});
  const Peer scraper(endpoint->port());
  ASSERT_TRUE(scraper.Send("GET /metrics HTTP/1.0\r\n\r\n"));
  EXPECT_THAT(Get(endpoint->port(), "/healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get(endpoint->port(), "/readyz"), StartsWith("HTTP/1.1 200"));
  metrics.set_value("at last\n");
  EXPECT_TRUE(scraper.ReadAll().ends_with("\r\n\r\nat last\n"));
}

TEST(HttpEndpointTest, WhileAllAreBeingAnsweredOneMoreIsRefused) {
  std::promise<std::string> metrics;
  std::promise<void> asked;
  const auto endpoint = StartOrDie({[&] {
                                      asked.set_value();
                                      return metrics.get_future().get();
                                    },
                                    [] { return ""; }},
                                   {.connections_max = 1});
  const Peer scraper(endpoint->port());
  ASSERT_TRUE(scraper.Send("GET /metrics HTTP/1.0\r\n\r\n"));
  asked.get_future().wait();
  EXPECT_THAT(Peer(endpoint->port()).ReadAll(), StartsWith("HTTP/1.1 503"));
  metrics.set_value("at last\n");
  EXPECT_TRUE(scraper.ReadAll().ends_with("\r\n\r\nat last\n"));
}

TEST(HttpEndpointTest, ABurstBeyondTheLimitIsOverWithItsPeers) {
  const auto endpoint = StartOrDie(Fixed(), {.connections_max = 16});
  const size_t descriptors = CountDescriptors();
  {
    std::vector<Peer> peers;
    for (int i = 0; i < 200; ++i) {
      peers.emplace_back(endpoint->port());
      if (i % 3 == 0) peers.back().Send(kHealth);
    }
    EXPECT_TRUE(Eventually([&] { return CountDescriptors() <= descriptors + 200 + 16; }));
    EXPECT_THAT(Get(endpoint->port(), "/readyz"), StartsWith("HTTP/1.1 200"));
  }
  EXPECT_TRUE(Eventually([&] { return CountDescriptors() <= descriptors; }));
}

TEST(HttpEndpointTest, GoesOnWhenDescriptorsAreThereAgain) {
  const auto endpoint = StartOrDie(Fixed());
  const Peer early;
  const Peer late;
  // The undefined-behaviour sanitizer takes descriptors at the first use of a virtual class; these
  // are the log's, and an error's category.
  spdlog::warn("{} descriptors are about to be taken", "all");
  EXPECT_FALSE(
      HttpEndpoint::Start("127.0.0.1:" + std::to_string(endpoint->port()), Fixed(), {}).ok());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{.rlim_cur = CountDescriptors() + 20, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<int> taken;
  for (int fd; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken.push_back(fd);
  ASSERT_TRUE(early.Connect(endpoint->port()));
  ASSERT_TRUE(early.Send("GET /healthz HTTP/1.0\r\n\r\n"));
  std::this_thread::sleep_for(milliseconds(250));  // it tries more than once
  for (const int fd : taken) close(fd);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(early.ReadAll().ends_with("ok\n"));
  ASSERT_TRUE(late.Connect(endpoint->port()));
  ASSERT_TRUE(late.Send("GET /healthz HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(late.ReadAll().ends_with("ok\n"));
}

// An HttpServer on a free port of 127.0.0.1.
std::unique_ptr<HttpServer> ServeOrDie(HttpServer::Options options, HttpServer::Handler handler) {
  auto server = HttpServer::Start("127.0.0.1:0", std::move(options), std::move(handler));
  EXPECT_TRUE(server.ok()) << server.status();
  return std::move(server).value();
}

void EchoTheLength(const HttpRequest& request, const HttpServer::Answer& answer) {
  answer({.body = std::to_string(request.body.size()) + " bytes\n"});
}

std::string Post(size_t length, std::string_view begin_of_body) {
  return "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n" +
         std::string(begin_of_body);
}

TEST(HttpServerTest, BodiesThatAreAnnouncedAndDoNotComeTakeNoRoom) {
  const auto server =
      ServeOrDie({.body_bytes_max = 1'000, .all_bodies_bytes_max = 2'000}, EchoTheLength);
  std::vector<Peer> silent;
  for (int i = 0; i < 20; ++i) {
    silent.emplace_back(server->port());
    ASSERT_TRUE(silent.back().Send(Post(1'000, "")));
  }
  const Peer honest(server->port());
  ASSERT_TRUE(honest.Send(Post(1'000, std::string(1'000, 'x'))));
  EXPECT_TRUE(honest.ReadUntil("1000 bytes\n").ends_with("1000 bytes\n"));
}

TEST(HttpServerTest, ForRoomTheOldestBodyThatIsNotWholeGivesWay) {
  std::atomic<int> cut_off = 0;
  const auto server = ServeOrDie(
      {.body_bytes_max = 1'000, .all_bodies_bytes_max = 2'500, .on_cut_off = [&] { ++cut_off; }},
      EchoTheLength);
  const auto begin = [&](const Peer& peer, char chunk) {
    ASSERT_TRUE(
        peer.Send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n"));
    ASSERT_THAT(peer.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
    ASSERT_TRUE(peer.Send("384\r\n" + std::string(0x384, chunk) + "\r\n"));
  };
  const Peer first(server->port());
  begin(first, 'a');
  const Peer second(server->port());
  begin(second, 'b');
  const Peer third(server->port());
  begin(third, 'c');
  EXPECT_THAT(first.ReadAll(), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(cut_off, 1);
  for (const Peer* peer : {&second, &third}) {
    ASSERT_TRUE(peer->Send("0\r\n\r\n"));
    EXPECT_TRUE(peer->ReadUntil("900 bytes\n").ends_with("900 bytes\n"));
  }
}

TEST(HttpServerTest, AnAnswerThatCannotBeSentEndsItsConnectionAndNoOther) {
  const auto server = ServeOrDie({.connections_max = 1}, [](const auto&, const auto& answer) {
    // Longer than any field that Boost.Beast writes: it throws.
    answer({.fields = {{"A", std::string(1 << 17, 'a')}}});
  });
  for (int i = 0; i < 3; ++i) {
    const Peer peer(server->port());
    ASSERT_TRUE(peer.Send(kHealth));
    EXPECT_TRUE(peer.IsClosed()) << i;
  }
}

TEST(HttpServerTest, AnAnswerThatNeverComesAndOneThatDoesAreToldApart) {
  HttpServer::Answer kept;
  std::promise<void> is_asked;
  const auto server = ServeOrDie({}, [&](const HttpRequest& request, HttpServer::Answer answer) {
    if (request.path == "/throws") {
      return answer({.fields = {{"A", std::string(1 << 17, 'a')}}});
    }
    kept = std::move(answer);
    is_asked.set_value();
  });
  const Peer waits(server->port());
  ASSERT_TRUE(waits.Send("GET /waits HTTP/1.0\r\n\r\n"));
  is_asked.get_future().wait();
  const Peer lost(server->port());
  ASSERT_TRUE(lost.Send("GET /throws HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(lost.IsClosed());
  kept({.body = "at last\n"});
  EXPECT_TRUE(waits.ReadAll().ends_with("at last\n"));
}

TEST(HttpEndpointTest, EndsWhilePeersAreSilentOrFetchNothing) {
  std::promise<void> rendered;
  auto endpoint = StartOrDie({[&] {
                                rendered.set_value();
                                return std::string(64 << 20, 'x');
                              },
                              [] { return ""; }},
                             {.transfer = std::chrono::minutes(5)});
  const Peer silent(endpoint->port());
  const Peer fetches_nothing(endpoint->port());
  ASSERT_TRUE(fetches_nothing.Send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
  rendered.get_future().wait();
  endpoint.reset();
  EXPECT_TRUE(silent.IsClosed());
  EXPECT_LT(fetches_nothing.ReadAll().size(), size_t{64} << 20);
}

}  // namespace
}  // namespace groundswell
