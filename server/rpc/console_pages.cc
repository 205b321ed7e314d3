#include "server/rpc/console_pages.h"

#include <algorithm>
#include <string>
#include <utility>

namespace groundswell {
namespace {

constexpr std::string_view kConsolePath = "/console";
constexpr std::string_view kConsoleIndex = "index.html";
constexpr char kConsolePolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

std::string ConsoleFileType(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "application/octet-stream";
}

HttpAnswer MakeConsoleAnswer(std::string_view method, std::string_view path) {
  if (method != "GET" && method != "HEAD") {
    return {.status = 405, .body = "this is read by GET\n", .fields = {{"Allow", "GET, HEAD"}}};
  }
  path.remove_prefix(kConsolePath.size());
  // Relative, so that it leads to the right place behind a proxy that has this server below a path.
  if (path.empty()) return {.status = 308, .fields = {{"Location", "console/"}}};
  path.remove_prefix(1);
  const std::string_view name = path.empty() ? kConsoleIndex : path;
  const auto file = std::ranges::find(ConsoleFiles(), name, &ConsoleFile::name);
  if (file == ConsoleFiles().end()) {
    return {.status = 404, .body = "the console has no such file; it begins at /console/\n"};
  }
  return {.body = std::string(file->content), .content_type = ConsoleFileType(name)};
}

}  // namespace

bool IsConsolePath(std::string_view path) {
  if (!path.starts_with(kConsolePath)) return false;
  path.remove_prefix(kConsolePath.size());
  return path.empty() || path.front() == '/';
}

HttpAnswer ConsoleAnswer(std::string_view method, std::string_view path) {
  HttpAnswer answer = MakeConsoleAnswer(method, path);
  const std::pair<const char*, const char*> fields[] = {
      {"Content-Security-Policy", kConsolePolicy},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      // Another version of the server has other files under these names.
      {"Cache-Control", "no-store"}};
  for (const auto& [name, value] : fields) answer.fields.emplace_back(name, value);
  return answer;
}

}  // namespace groundswell
