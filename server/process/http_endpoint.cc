#include "server/process/http_endpoint.h"

#include <algorithm>
#include <exception>
#include <string_view>
#include <utility>
#include <vector>

#include "server/process/work_thread.h"

namespace groundswell {
namespace {

struct Route {
  std::string_view path;
  bool at_once;  // answered on the thread of the connections, since it waits for nothing
  std::function<HttpAnswer()> answer;
};

std::vector<Route> RoutesOf(HttpEndpoint::Sources& sources) {
  const auto render = [metrics = std::move(sources.metrics)] {
    return HttpAnswer{.body = metrics(),
                      .content_type = "text/plain; version=0.0.4; charset=utf-8"};
  };
  const auto ready = [why_not = std::move(sources.not_ready_because)] {
    const std::string reason = why_not();
    if (reason.empty()) return HttpAnswer{.body = "ready\n"};
    return HttpAnswer{.status = 503, .body = reason + "\n"};
  };
  return {
      {.path = "/healthz", .at_once = true, .answer = [] { return HttpAnswer{.body = "ok\n"}; }},
      {.path = "/readyz", .at_once = true, .answer = ready},
      {.path = "/metrics", .at_once = false, .answer = render}};
}

HttpAnswer AnswerOf(const Route& route) {
  std::string what = "unknown error";
  try {
    return route.answer();
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {
  }
  return {.status = 500, .body = what + "\n"};
}

}  // namespace

// The routes, and the thread of those that take a while.
class MonitoringRoutes {
 public:
  explicit MonitoringRoutes(HttpEndpoint::Sources& sources) : routes_(RoutesOf(sources)) {}

  void Handle(const HttpRequest& request, const HttpServer::Answer& answer) {
    const auto route = std::ranges::find(routes_, request.path, &Route::path);
    if (route == routes_.end()) return answer({.status = 404, .body = "not found\n"});
    if (request.method != "GET" && request.method != "HEAD") {
      return answer(
          {.status = 405, .body = "allowed are GET, HEAD\n", .fields = {{"Allow", "GET, HEAD"}}});
    }
    if (route->at_once) return answer(AnswerOf(*route));
    rendering_.Post([&route = *route, answer] { answer(AnswerOf(route)); });
  }

  // What is being rendered is still sent, so this ends before the connections do.
  void FinishRendering() { rendering_.Finish(); }

 private:
  const std::vector<Route> routes_;
  WorkThread rendering_{"http-metrics"};
};

HttpEndpoint::HttpEndpoint(std::unique_ptr<MonitoringRoutes> routes,
                           std::unique_ptr<HttpServer> server)
    : routes_(std::move(routes)), server_(std::move(server)) {}

HttpEndpoint::~HttpEndpoint() {
  server_->StopAccepting();
  routes_->FinishRendering();
}

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Start(const std::string& address,
                                                                  Sources sources,
                                                                  const Limits& limits) {
  auto routes = std::make_unique<MonitoringRoutes>(sources);
  auto server = HttpServer::Start(
      address,
      {.setting = "server.http_address",
       .connections_max = limits.connections_max,
       .transfer = limits.transfer,
       .idle = limits.idle,
       .on_cut_off = std::move(sources.on_cut_off)},
      [routes = routes.get()](const HttpRequest& request, const HttpServer::Answer& answer) {
        routes->Handle(request, answer);
      });
  if (!server.ok()) return server.status();
  return std::unique_ptr<HttpEndpoint>(new HttpEndpoint(std::move(routes), *std::move(server)));
}

}  // namespace groundswell
