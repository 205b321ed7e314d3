// Where a configuration comes from: defaults, a TOML file, the environment, flags; and how it is
// written down.
#ifndef GROUNDSWELL_SERVER_CONFIG_CONFIG_READING_H_
#define GROUNDSWELL_SERVER_CONFIG_CONFIG_READING_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/config/config.h"

namespace CLI {
class App;
}

namespace groundswell {

// The flags of one command. Usage:
//
//   CLI::App command;
//   ConfigFlags flags(command);       // adds --config and one flag per key
//   command.parse(argc, argv);
//   auto config = flags.Resolve(CurrentEnvironment());
class ConfigFlags {
 public:
  // `command` must outlive this object, and this object the parsing.
  explicit ConfigFlags(CLI::App& command);
  ~ConfigFlags();
  ConfigFlags(const ConfigFlags&) = delete;
  ConfigFlags& operator=(const ConfigFlags&) = delete;

  // Defaults, overlaid with the file of --config, the environment and the flags. InvalidArgument
  // names the origin, the key, the value and what would be right (for an unknown key: the nearest
  // one); NotFound: the file is not there.
  absl::StatusOr<Config> Resolve(const std::map<std::string, std::string>& environment) const;

 private:
  struct Given;  // what parsing writes into, also when this object is const

  std::unique_ptr<Given> given_;
  CLI::App& command_;
};

// Overlays `config` with a TOML text; `origin` names it in errors. On error `config` is unchanged.
absl::Status ApplyToml(std::string_view toml, std::string_view origin, Config& config);
// Overlays `config` with the variables GROUNDSWELL_<SECTION>_<KEY>; others are none of ours. A
// variable of a known section with an unknown key is refused, unless its name is one that
// Kubernetes sets for a service (…_PORT…, …_SERVICE_…). On error `config` is unchanged.
absl::Status ApplyEnvironment(const std::map<std::string, std::string>& environment,
                              Config& config);
// The process's environment.
std::map<std::string, std::string> CurrentEnvironment();

// Sets one key from text. event_types is written "purchase=1,return=-1".
absl::Status SetKey(std::string_view key, std::string_view value, Config& config);

// InvalidArgument that tells how to set server.data_dir, when it is not set.
absl::Status RequireDataDir(const Config& config);

// The key nearest to `key` by edit distance; for "did you mean" texts.
std::string NearestKey(std::string_view key);

// The whole configuration as TOML that reads back to the same, each key with its meaning.
std::string EffectiveToml(const Config& config);
// The table of docs/configuration.md, in Markdown.
std::string DocsTable();

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_CONFIG_CONFIG_READING_H_
