// The console: a web page for people, at /console of what server/rpc/connect_endpoint serves
// (docs/console.md). Its files are those of console/dist, in the program itself.
//
// The page has no rights of its own: it calls the API of its own origin as any client does, with
// the token that its user enters. So its files are there for whoever asks.
#ifndef GROUNDSWELL_SERVER_RPC_CONSOLE_PAGES_H_
#define GROUNDSWELL_SERVER_RPC_CONSOLE_PAGES_H_

#include <span>
#include <string_view>

#include "server/process/http_server.h"

namespace groundswell {

struct ConsoleFile {
  std::string_view name;  // below /console/
  std::string_view content;
};

// Those of console/dist, which cmake/embed_files.cmake makes a source of.
std::span<const ConsoleFile> ConsoleFiles();

// "/console" and all below it.
bool IsConsolePath(std::string_view path);

// The answer to a request for such a path: a file, a redirection of /console to /console/, 404, or
// 405. What a browser does with it is bounded by its fields: it runs nothing and shows nothing but
// these files, sends nothing but to this origin, and is in no other page's frame.
HttpAnswer ConsoleAnswer(std::string_view method, std::string_view path);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_CONSOLE_PAGES_H_
