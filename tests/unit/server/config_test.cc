#include <fmt/format.h>
#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "server/config/config_reading.h"

namespace groundswell {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::string Toml(std::string_view text) {
  Config config;
  const absl::Status status = ApplyToml(text, "test.toml", config);
  EXPECT_EQ(EffectiveToml(config), EffectiveToml(Config())) << "changed in spite of the error";
  return std::string(status.message());
}

std::string Environment(const std::map<std::string, std::string>& variables) {
  Config config;
  return std::string(ApplyEnvironment(variables, config).message());
}

absl::StatusOr<Config> Resolve(std::vector<std::string> arguments,
                               const std::map<std::string, std::string>& environment = {}) {
  CLI::App command;
  const ConfigFlags flags(command);
  std::ranges::reverse(arguments);  // CLI11 wants the last one first
  command.parse(arguments);
  return flags.Resolve(environment);
}

TEST(ConfigTest, UnknownKeysAreRefusedWithTheNearest) {
  EXPECT_THAT(Toml("[server]\ngrpc_adress = \"x:1\""),
              AllOf(HasSubstr("test.toml"), HasSubstr("server.grpc_adress"),
                    HasSubstr("did you mean server.grpc_address?")));
  EXPECT_THAT(Toml("nprobe = 3"), HasSubstr("did you mean retrieval.nprobe?"));
  EXPECT_THAT(Toml("[retreival]\nnprobe = 3"), HasSubstr("did you mean retrieval.nprobe?"));
}

TEST(ConfigTest, ValuesOutOfRangeAreRefusedNamingKeyValueAndRange) {
  EXPECT_THAT(Toml("[retrieval]\ncandidates = 10000000"),
              AllOf(HasSubstr("retrieval.candidates"), HasSubstr("10000000"),
                    HasSubstr("1 to 10000 items")));
  EXPECT_THAT(Toml("[paging]\nttl_s = 0"), HasSubstr("1 to 86400 s"));
  EXPECT_THAT(Toml("[server]\ngrpc_address = \"here\""), HasSubstr("host:port"));
  EXPECT_THAT(Toml("[server]\ngrpc_address = \"a:65536\""), HasSubstr("host:port"));
  EXPECT_THAT(Toml("[server]\nnamespace = \"A b\""), HasSubstr("a-z"));
  EXPECT_THAT(Toml("[logging]\nlevel = \"loud\""), HasSubstr("one of trace"));
}

TEST(ConfigTest, ValuesOfAnotherTypeAreRefused) {
  EXPECT_THAT(Toml("[paging]\nttl_s = \"60\""),
              AllOf(HasSubstr("paging.ttl_s is '60'"), HasSubstr("whole number"),
                    HasSubstr("without quotes")));
  EXPECT_THAT(Toml("[paging]\nttl_s = 1.5"), HasSubstr("whole number"));
  EXPECT_THAT(Toml("[server]\nreflection = 1"), HasSubstr("true or false"));
  EXPECT_THAT(Toml("[server]\nnamespace = 7"), HasSubstr("text in quotes"));
  EXPECT_THAT(Toml("server = 7"), HasSubstr("server is 7: must be a section, [server] with its"));
  EXPECT_THAT(Toml("[[log]]\nretention_mb = 1"),
              HasSubstr("must be a section, [log] with its keys"));
  for (const char* value : {"\"purchase\"", "[\"purchase\"]", "\"purchase=1\""}) {
    EXPECT_THAT(Toml(fmt::format("event_types = {}", value)),
                HasSubstr("must be a section, [event_types] with lines such as purchase = 1"));
  }
}

TEST(ConfigTest, BrokenTomlNamesTheLine) {
  EXPECT_THAT(Toml("[server]\n= 3"), AllOf(HasSubstr("test.toml"), HasSubstr("line 2")));
  EXPECT_THAT(Toml(std::string_view("\xFF\x00\xFE", 3)), HasSubstr("test.toml"));
}

TEST(ConfigTest, OneBadKeyLeavesEverythingAsItWas) {
  EXPECT_THAT(Toml("[paging]\nttl_s = 60\nitems_max = 0"), HasSubstr("paging.items_max"));
}

TEST(ConfigTest, EventTypesAreChecked) {
  EXPECT_THAT(Toml("[event_types]\nview = 1000001"), HasSubstr("event_types.view"));
  EXPECT_THAT(Toml("[event_types]\nView = 1"), HasSubstr("a-z"));
  EXPECT_THAT(Toml("[event_types]\nview = 1.5"), HasSubstr("whole number"));
  EXPECT_THAT(Toml("[event_types]"), HasSubstr("at least one"));
  std::string many = "[event_types]\n";
  for (int i = 0; i < 33; ++i) many += "t" + std::to_string(i) + " = 1\n";
  EXPECT_THAT(Toml(many), HasSubstr("at most 32"));
  Config config;
  for (const char* text : {"", "view", "view=", "=1", "view=1,", "view=1;cart=2"}) {
    EXPECT_FALSE(SetKey("event_types", text, config).ok()) << text;
  }
  ASSERT_TRUE(SetKey("event_types", "view=1,hide=0", config).ok()) << "of 0: hides its item";
  EXPECT_THAT(config.event_types, ElementsAre(Pair("hide", 0), Pair("view", 1)));
}

TEST(ConfigTest, NamingOneEventTypeReplacesTheTable) {
  Config config;
  ASSERT_TRUE(ApplyToml("[event_types]\nplay = 2", "t", config).ok());
  EXPECT_THAT(config.event_types, ElementsAre(Pair("play", 2)));
  ASSERT_TRUE(SetKey("event_types", "like=3,skip=-1", config).ok());
  EXPECT_THAT(config.event_types, ElementsAre(Pair("like", 3), Pair("skip", -1)));
}

TEST(ConfigTest, MisspeltVariablesOfASectionAreRefusedAndOthersIgnored) {
  EXPECT_THAT(Environment({{"GROUNDSWELL_PAGING_TTL", "1"}}),
              AllOf(HasSubstr("GROUNDSWELL_PAGING_TTL"), HasSubstr("GROUNDSWELL_PAGING_TTL_S")));
  EXPECT_EQ(Environment({{"GROUNDSWELL_SERVER_PORT", "tcp://10.0.0.1:7100"},
                         {"GROUNDSWELL_SERVER_PORT_7100_TCP", "tcp://10.0.0.1:7100"},
                         {"GROUNDSWELL_SERVER_SERVICE_HOST", "10.0.0.1"},
                         {"GROUNDSWELL_SERVER_METRICS_SERVICE_HOST", "10.0.0.1"},
                         {"GROUNDSWELL_SERVER_ADMIN_PORT", "tcp://10.0.0.1:7102"},
                         {"GROUNDSWELL_SERVER_ADMIN_PORT_7102_TCP_ADDR", "10.0.0.1"},
                         {"GROUNDSWELL_SERVER_ADMIN_PORT_7102_UDP", "udp://10.0.0.1:7102"},
                         {"GROUNDSWELL_SERVER_SERVICE_PORT_" + std::string(100'000, 'A'), "1"},
                         {"GROUNDSWELL_LOG_SHIPPER_SERVICE_PORT", "24224"},
                         {"GROUNDSWELL_LOG_SHIPPER_SERVICE_PORT_GRPC_WEB", "24224"},
                         {"GROUNDSWELL_DEMO", "x"},
                         {"PATH", "/bin"}}),
            "");
}

TEST(ConfigTest, VariablesThatResembleThoseOfKubernetesAreMisspelt) {
  for (const char* name :
       {"GROUNDSWELL_SERVER_PORT_TCP", "GROUNDSWELL_SERVER_PORT_x_TCP",
        "GROUNDSWELL_SERVER_7102_TCP", "GROUNDSWELL_SERVER_SERVICE_PORT_",
        "GROUNDSWELL_SERVER_SERVICE_PORT_a", "GROUNDSWELL_SERVER_PORT_7102_TCP_HOST"}) {
    EXPECT_THAT(Environment({{name, "1"}}), HasSubstr("is not a setting")) << name;
  }
}

TEST(ConfigTest, VariablesNameThemselvesInErrors) {
  EXPECT_THAT(Environment({{"GROUNDSWELL_PAGING_TTL_S", "soon"}}),
              AllOf(HasSubstr("GROUNDSWELL_PAGING_TTL_S"), HasSubstr("\"soon\"")));
  for (const char* text : {"", " 1", "1 ", "0x10", "99999999999999999999", "1e3"}) {
    EXPECT_NE(Environment({{"GROUNDSWELL_PAGING_TTL_S", text}}), "") << text;
  }
}

TEST(ConfigTest, AFlagBeatsTheEnvironmentBeatsTheFile) {
  const std::string path = ::testing::TempDir() + "/groundswell_config_test.toml";
  std::ofstream(path) << "[paging]\nttl_s = 1\nitems_max = 2\nlists_max = 3\n";
  const auto config =
      Resolve({"--config", path, "--paging.ttl_s=20"}, {{"GROUNDSWELL_PAGING_TTL_S", "10"},
                                                        {"GROUNDSWELL_PAGING_ITEMS_MAX", "11"},
                                                        {"GROUNDSWELL_EVENT_TYPES", "play=1"}});
  std::remove(path.c_str());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->paging.ttl_s, 20);
  EXPECT_EQ(config->paging.items_max, 11);
  EXPECT_EQ(config->paging.lists_max, 3);
  EXPECT_EQ(config->request.default_deadline_ms, 100);
  EXPECT_THAT(config->event_types, ElementsAre(Pair("play", 1)));
}

TEST(ConfigTest, AMissingFileIsNotFound) {
  EXPECT_EQ(Resolve({"--config", "/nonexistent/file.toml"}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(Resolve({"--config", "/"}).ok());
}

TEST(ConfigTest, ABadFlagNamesItsKey) {
  EXPECT_THAT(
      std::string(Resolve({"--server.reflection=maybe"}).status().message()),
      AllOf(HasSubstr("server.reflection"), HasSubstr("\"maybe\""), HasSubstr("true or false")));
}

TEST(ConfigTest, TheDataDirectoryIsRequired) {
  Config config;
  EXPECT_THAT(std::string(RequireDataDir(config).message()), HasSubstr("--server.data_dir"));
  config.server.data_dir = "data";
  EXPECT_TRUE(RequireDataDir(config).ok());
}

TEST(ConfigTest, TheEffectiveConfigurationReadsBackToItself) {
  Config config;
  config.server.data_dir = "a \"quoted\"\\path\twith ümlauts";
  config.server.reflection = false;
  config.log.durability = "flush";
  config.event_types = {{"play", 3}};
  const std::string text = EffectiveToml(config);
  Config again;
  ASSERT_TRUE(ApplyToml(text, "effective", again).ok());
  EXPECT_EQ(again.server.data_dir, config.server.data_dir);
  EXPECT_FALSE(again.server.reflection);
  EXPECT_EQ(again.log.durability, "flush");
  EXPECT_EQ(EffectiveToml(again), text);
}

TEST(ConfigTest, TheDocumentationHoldsTheTable) {
  std::ifstream file(GROUNDSWELL_DOCS_DIR "/configuration.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(page, HasSubstr(DocsTable())) << "docs/configuration.md must hold this table:\n"
                                            << DocsTable();
}

}  // namespace
}  // namespace groundswell
