// Calls of operators: they last as long as the work behind them.
#ifndef GROUNDSWELL_CLIENT_COMMANDS_ADMIN_CALL_H_
#define GROUNDSWELL_CLIENT_COMMANDS_ADMIN_CALL_H_

#include <fmt/format.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <future>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/commands/commands.h"
#include "groundswell/v1/admin.grpc.pb.h"
#include "program/standard_error.h"

namespace groundswell {

// A UUID, by which a call that is sent again is done once.
std::string NewRequestId();

// Calls, shows how long it has been waiting, and gives up on an interruption.
template <typename Response>
absl::StatusOr<Response> CallAndWait(
    std::string_view what,
    const std::function<grpc::Status(grpc::ClientContext&, Response&)>& call) {
  using std::chrono::steady_clock;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::hours(1));
  Response response;
  auto answer = std::async(std::launch::async, [&] { return call(context, response); });
  const bool terminal = isatty(STDERR_FILENO) != 0;
  const auto begin = steady_clock::now();
  bool shown = false;
  while (answer.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
    if (Interrupted()) context.TryCancel();
    const auto elapsed = std::chrono::duration<double>(steady_clock::now() - begin).count();
    if (!terminal || elapsed < 1) continue;
    PrintToStandardError("\r{}: {:.0f} s", what, elapsed);
    shown = true;
  }
  if (shown) PrintToStandardError("\n");
  const grpc::Status status = answer.get();
  if (!status.ok()) return ToStatus(status);
  return response;
}

// One call of the admin service, with the namespace of the command line.
template <typename Request, typename Response, typename Print>
void CallAdmin(CommandContext& context, std::string_view what, Request request,
               grpc::Status (v1::AdminService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
               Print print) {
  request.set_namespace_(context.name_space);
  const Client client = context.MakeClient();
  const auto stub = v1::AdminService::NewStub(client.channel());
  context.Show(CallAndWait<Response>(what,
                                     [&](grpc::ClientContext& call, Response& response) {
                                       return ((*stub).*method)(&call, request, &response);
                                     }),
               print);
}

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_COMMANDS_ADMIN_CALL_H_
