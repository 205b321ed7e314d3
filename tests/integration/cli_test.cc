// The command line against a real server: what people and programs get, and exit codes.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CliTest : public SampleServerTest {
 protected:
  static Finished Cli(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {GROUNDSWELL_CLI_PROGRAM, "--server", server_->grpc_address()});
    return RunProgram(arguments);
  }

  static json CliJson(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "--json");
    const Finished finished = Cli(std::move(arguments));
    EXPECT_EQ(finished.exit_code, 0) << finished.output;
    // Progress goes to stderr, which comes first here.
    return json::parse(finished.output.substr(finished.output.find('{')), nullptr, false);
  }

  std::string WriteFile(const std::string& name, const std::string& text) {
    const std::string path = files_.File(name);
    std::ofstream(path) << text;
    return path;
  }

  TemporaryDirectory files_;
};

TEST_F(CliTest, MistakesExitWithTheirCodesAndSayWhatIsWrong) {
  EXPECT_EQ(RunProgram({GROUNDSWELL_CLI_PROGRAM}).exit_code, 2);
  EXPECT_EQ(RunProgram({GROUNDSWELL_CLI_PROGRAM, "recommend"}).exit_code, 2);
  EXPECT_EQ(RunProgram({GROUNDSWELL_CLI_PROGRAM, "reccomend", "x"}).exit_code, 2);
  const Finished nobody = Cli({"user", "nobody-ever-saw-me"});
  EXPECT_EQ(nobody.exit_code, 1);
  EXPECT_THAT(nobody.output, HasSubstr("USER_UNKNOWN"));
  const Finished no_server =
      RunProgram({GROUNDSWELL_CLI_PROGRAM, "--server", "127.0.0.1:1", "status"});
  EXPECT_EQ(no_server.exit_code, 1);
  EXPECT_THAT(no_server.output, HasSubstr("is it running?"));
}

TEST_F(CliTest, NumbersThatAFlagCannotHoldAreRefused) {
  const std::string log = WriteFile("log.csv", "timestamp,user,item\n");
  for (const char* limit : {"-1", " -1", "99999999999999999999", "0x1FFFFFFFFFFFFFFFFF", "x"}) {
    const Finished refused = Cli({"ingest", log, "--limit", limit});
    EXPECT_EQ(refused.exit_code, 2) << limit;
    EXPECT_THAT(refused.output, HasSubstr("--limit")) << limit;
    EXPECT_THAT(refused.output, HasSubstr("must")) << limit;
  }
}

// gRPC would take another port, or end the process.
TEST_F(CliTest, WhatGrpcCannotUseIsRefusedBefore) {
  for (const char* address :
       {"127.0.0.1:99999", "127.0.0.1:0", "127.0.0.1:x", "::1", "dns:localhost:99999"}) {
    const Finished refused = RunProgram({GROUNDSWELL_CLI_PROGRAM, "--server", address, "status"});
    EXPECT_EQ(refused.exit_code, 2) << address;
    EXPECT_THAT(refused.output, HasSubstr("HOST:PORT")) << address;
  }
  const std::string paths[] = {WriteFile("nul.token", std::string("to\0ken", 6)),
                               WriteFile("control.token", "to\x1bken"),
                               WriteFile("umlaut.token", "t\xc3\xb6ken"),
                               WriteFile("long.token", std::string(100'000, 't')), files_.path()};
  for (const std::string& path : paths) {
    const Finished refused = Cli({"--token-file", path, "status"});
    EXPECT_EQ(refused.exit_code, 2) << path;
    EXPECT_THAT(refused.output, HasSubstr(path));
  }
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--ca-file", files_.path(), "status"},
        {"rules", "set", files_.path()},
        {"load", "--users-file", files_.path()}}) {
    const Finished refused = Cli(arguments);
    EXPECT_NE(refused.exit_code, 0);
    EXPECT_THAT(refused.output, HasSubstr(files_.path()));
  }
}

TEST_F(CliTest, AMisspeltWordGetsASuggestion) {
  const Finished subcommand = Cli({"reccomend", "x"});
  EXPECT_EQ(subcommand.exit_code, 2);
  EXPECT_THAT(subcommand.output, HasSubstr("did you mean recommend?"));
  EXPECT_THAT(Cli({"recommend", "x", "--page-sise", "3"}).output, HasSubstr("--page-size?"));
  const Finished key =
      RunProgram({GROUNDSWELL_SERVER_PROGRAM, "serve", "--server.datadir=" + files_.File("x")});
  EXPECT_NE(key.exit_code, 0);
  EXPECT_THAT(key.output, HasSubstr("--server.data_dir?"));
}

TEST_F(CliTest, AnAddressThatIsNoneOfGrpcsIsToldApart) {
  const Finished scheme = RunProgram(
      {GROUNDSWELL_CLI_PROGRAM, "--server", "http://" + server_->grpc_address(), "status"});
  EXPECT_EQ(scheme.exit_code, 2);
  EXPECT_THAT(scheme.output, HasSubstr("it is " + server_->grpc_address()));
  const Finished http = RunProgram({GROUNDSWELL_CLI_PROGRAM, "--server",
                                    "127.0.0.1:" + std::to_string(server_->http_port()), "status"});
  EXPECT_EQ(http.exit_code, 1);
  EXPECT_THAT(http.output, HasSubstr("server.grpc_address"));
}

TEST_F(CliTest, WithJsonErrorsAreJsonToo) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--json", "user", "nobody-ever-saw-me"},
        {"--json", "reccomend"},
        {"--json", "recommend", "\xff"},
        {"--json", "rank", "17850", "\xff"},
        {"--json", "--namespace", "\xff", "status"},
        {"--json", "rank", "17850", "no-such-item"}}) {
    const Finished failed = Cli(arguments);
    EXPECT_NE(failed.exit_code, 0);
    const json error = json::parse(failed.output, nullptr, false);
    ASSERT_TRUE(error.is_object()) << failed.output;
    EXPECT_FALSE(error["error"]["message"].get<std::string>().empty());
    EXPECT_FALSE(error["error"]["code"].get<std::string>().empty());
  }
  const Finished nothing = RunProgram(
      {GROUNDSWELL_SERVER_PROGRAM, "verify", "--json", "--data-dir", files_.File("nothing")});
  EXPECT_EQ(nothing.exit_code, 1);
  EXPECT_EQ(json::parse(nothing.output, nullptr, false)["error"]["code"], "NOT_FOUND")
      << nothing.output;
}

TEST_F(CliTest, RankingNothingThatIsKnownFails) {
  const Finished none = Cli({"rank", kCustomer, "no-such-item"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.output, HasSubstr("\"no-such-item\""));
  const Finished some = Cli({"rank", kCustomer, "no-such-item", kItem});
  EXPECT_EQ(some.exit_code, 0);
  EXPECT_THAT(some.output, HasSubstr("not in the catalogue: no-such-item"));
}

TEST_F(CliTest, RefusalsAreGroupedWithCounts) {
  std::string csv = "timestamp,user,item\n";
  for (int i = 0; i < 30; ++i) csv += "1322000000,u,no-such-item-" + std::to_string(i) + "\n";
  const Finished refused = Cli({"ingest", WriteFile("unknown.csv", csv)});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, HasSubstr("30 refused"));
  EXPECT_THAT(refused.output, HasSubstr("(30 times)"));
  EXPECT_EQ(refused.output.find("refused: "), refused.output.rfind("refused: ")) << "once";
}

TEST_F(CliTest, AColumnThatIsNotThereIsNamedWithThoseThatAre) {
  const Finished wrong = Cli({"ingest", WriteFile("wrong.csv", "when,user,item\n1,u,i\n")});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.output, HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(wrong.output, HasSubstr("\"when\", \"user\", \"item\""));
}

TEST_F(CliTest, ADatabaseInUseIsCalledThat) {
  const Finished verify =
      RunProgram({GROUNDSWELL_SERVER_PROGRAM, "verify", "--data-dir", directory_->File("db")});
  EXPECT_EQ(verify.exit_code, 1);
  EXPECT_THAT(verify.output, HasSubstr("in use by another process"));
}

TEST_F(CliTest, EveryCommandHasHelpWithAnExample) {
  for (const char* command :
       {"quickstart",  "recommend",   "rank",      "similar",      "user",       "ingest",
        "evaluate",    "status",      "load",      "train",        "convert",    "forget",
        "upsert-item", "remove-item", "rules",     "log",          "checkpoint", "verify",
        "backup",      "activate",    "blend",     "upsert-items", "trace",      "item",
        "items",       "categories",  "slow-calls"}) {
    const Finished help = RunProgram({GROUNDSWELL_CLI_PROGRAM, command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_THAT(help.output, HasSubstr("Example:\n  groundswell " + std::string(command)));
  }
  for (const char* command : {"serve", "import", "replay", "verify", "restore", "repair"}) {
    const Finished help = RunProgram({GROUNDSWELL_SERVER_PROGRAM, command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_THAT(help.output, HasSubstr("Example:\n  groundswell-server " + std::string(command)));
  }
}

TEST_F(CliTest, TheExamplesOfTheHelpWorkOnTheSample) {
  for (const char* command : {"recommend", "rank", "similar", "trace", "user", "item", "items",
                              "categories", "slow-calls", "status", "blend"}) {
    const Finished help = RunProgram({GROUNDSWELL_CLI_PROGRAM, command, "--help"});
    std::istringstream lines(help.output.substr(help.output.find("Example:")));
    size_t examples = 0;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string word;
      if (!(words >> word) || word != "groundswell") continue;
      std::vector<std::string> arguments;
      while (words >> word && word != ">") arguments.push_back(word);
      ++examples;
      const Finished shown = Cli(arguments);
      EXPECT_EQ(shown.exit_code, 0) << line << "\n" << shown.output;
    }
    EXPECT_GT(examples, 0u) << command;
  }
}

TEST_F(CliTest, IngestCreatesItemsAndPassesOverWhatIsEarlierWhereItIsTold) {
  const std::string log =
      WriteFile("new.csv", "timestamp,user,item\n1322000000,n1,made-here-1\n" +
                               std::string("1322000001,n1,made-here-2\n") +
                               "1322000002,n2,made-here-2\n1322000003,n2," + kItem + "\n");
  const json later = CliJson(
      {"--timeout-ms", "60000", "ingest", log, "--create-items", "--from", "2011-11-22T22:13:21Z"});
  EXPECT_EQ(later["accepted"], 3);
  EXPECT_EQ(later["created_items"], 1);
  EXPECT_EQ(later["earlier_records"], 1);
  const Finished all = Cli({"--timeout-ms", "60000", "ingest", log, "--create-items"});
  EXPECT_EQ(all.exit_code, 0) << all.output;
  EXPECT_THAT(all.output, HasSubstr("1 accepted, 3 duplicates, 0 refused"));
  EXPECT_THAT(all.output, HasSubstr("1 items created"));
  const Finished wrong = Cli({"ingest", log, "--from", "soon"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.output, HasSubstr("--from: \"soon\"; it must be"));
}

TEST_F(CliTest, ALogOfAnotherMakeIsConverted) {
  const std::string log = WriteFile("odd.csv", "sku;who;ts\n\"a;\"\"b\";u2;2011-11-22T22:13:21\n" +
                                                   std::string("c,d;u1;1322000000.5\n"));
  const Finished converted = Cli({"convert", log, "--user", "who"});
  EXPECT_EQ(converted.exit_code, 0) << converted.output;
  EXPECT_THAT(converted.output, HasSubstr("timestamp,user,item,type,weight,event_id\n"
                                          "1322000000.500000,u1,\"c,d\",,,\n"
                                          "1322000001.000000,u2,\"a;\"\"b\",,,\n"));
  const Finished typed = Cli({"convert", log, "--user", "who", "--type", "view"});
  EXPECT_THAT(typed.output, HasSubstr("1322000000.500000,u1,\"c,d\",view,,\n"));
}

TEST_F(CliTest, TrainRunsTheTrainerWithWhatItWasTold) {
  const std::string trainer = WriteFile(
      "trainer",
      "#!/bin/sh\necho \"$GROUNDSWELL_SERVER:$GROUNDSWELL_TRAINER_SERVER\"; echo \"$@\"; exit 3\n");
  std::filesystem::permissions(trainer, std::filesystem::perms::owner_all);
  const Finished trained = Cli({"train", "a.csv", "--trainer", trainer, "--keep", "4", "--no-gate",
                                "--items", "i.csv", "b.csv"});
  EXPECT_EQ(trained.exit_code, 3) << "the trainer's own";
  EXPECT_THAT(trained.output,
              HasSubstr(server_->grpc_address() + ":" + GROUNDSWELL_SERVER_PROGRAM));
  EXPECT_THAT(
      trained.output,
      HasSubstr("refresh --namespace default --items i.csv --keep 4 --no-gate -- a.csv b.csv"));
  const Finished absent = Cli({"train", "--trainer", files_.File("none")});
  EXPECT_EQ(absent.exit_code, 1);
  EXPECT_THAT(absent.output, HasSubstr("cannot be run"));
}

TEST_F(CliTest, FilesOfOneNameAndTheNextFileOfAProducerAreNotTakenForTheFirst) {
  const std::string header = "timestamp,user,item\n";
  const std::string first = WriteFile("day1.csv", header + "1322000000,d1," + kItem + "\n");
  const std::string second = WriteFile("day2.csv", header + "1322000001,d2," + kItem + "\n");
  const std::string resume = files_.File("day.at");
  const std::vector<std::vector<std::string>> ways = {{"--producer-id", "shop"},
                                                      {"--resume-file", resume}};
  for (size_t way = 0; way < ways.size(); ++way) {
    for (const std::string& file : {first, second}) {
      std::vector<std::string> arguments = {"ingest", file, "--type", way == 0 ? "view" : "cart"};
      arguments.insert(arguments.end(), ways[way].begin(), ways[way].end());
      EXPECT_EQ(CliJson(arguments)["accepted"], 1) << file << " " << ways[way][0];
    }
  }
  std::filesystem::create_directory(files_.File("other"));
  const std::string same_name = WriteFile("other/day1.csv", header + "1322000002,d3,22423\n");
  EXPECT_EQ(CliJson({"ingest", same_name})["accepted"], 1);
  EXPECT_EQ(CliJson({"ingest", first, "--type", "view"})["duplicates"], 1) << "sent before";
}

TEST_F(CliTest, LoopbackIsNotAskedForByWayOfAProxy) {
  const Finished status =
      RunProgram({GROUNDSWELL_CLI_PROGRAM, "--server", server_->grpc_address(), "status"},
                 {{"http_proxy", "http://127.0.0.1:9"}, {"no_proxy", ""}});
  EXPECT_EQ(status.exit_code, 0) << status.output;
  const Finished away =
      RunProgram({GROUNDSWELL_CLI_PROGRAM, "--server", "groundswell.invalid:1", "status"},
                 {{"http_proxy", "http://127.0.0.1:9"}, {"no_proxy", ""}});
  EXPECT_THAT(away.output, HasSubstr("http_proxy=http://127.0.0.1:9"));
}

TEST_F(CliTest, TablesForPeopleAndJsonForPrograms) {
  EXPECT_THAT(Cli({"recommend", kCustomer, "-n", "3"}).output, HasSubstr("title"));
  const json list = CliJson({"recommend", kCustomer, "-n", "3"});
  ASSERT_EQ(list["items"].size(), 3u);
  EXPECT_EQ(list["ranker"], "macgnn");
  const json ranked = CliJson({"rank", kCustomer, kItem, "no-such-item"});
  EXPECT_EQ(ranked["items"][0]["item_id"], kItem);
  EXPECT_EQ(ranked["unknown_item_ids"][0], "no-such-item");
  EXPECT_EQ(CliJson({"similar", kItem, "-n", "2"})["items"].size(), 2u);
  const double cosine = CliJson({"similar", kItem, "--by", "cosine"})["items"][0]["score"];
  EXPECT_LE(cosine, 1);
  EXPECT_EQ(CliJson({"user", kCustomer})["user_id"], kCustomer);
  EXPECT_EQ(CliJson({"status"})["namespace"], "default");
}

TEST_F(CliTest, ExplanationsAreATableOfNamesAndWholeInJson) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"recommend", kCustomer, "-n", "3", "--explain", "2"},
        std::vector<std::string>{"rank", kCustomer, kItem, "22423", "--explain", "2"}}) {
    const std::string table = Cli(command).output;
    for (const char* part : {"because of", "past item", "cluster",
                             "largest contributions of each item", "causes tried", ", explain "}) {
      EXPECT_THAT(table, HasSubstr(part));
    }
    const json list = CliJson(command);
    EXPECT_EQ(list["explanation_causes"]["tried"].get<int>(),
              std::min(list["explanation_causes"]["known"].get<int>(), 50));
    EXPECT_GT(list["items"][1]["explanations"].size(), 5u);
    EXPECT_TRUE(list["items"][1]["explanations"][0]["contribution"].is_number());
  }
  EXPECT_THAT(Cli({"recommend", kCustomer}).output, Not(HasSubstr("because of")));
  const std::vector<std::string> terms{"recommend", kCustomer, "-n", "3", "--explain", "2"};
  EXPECT_THAT(Cli(terms).output, HasSubstr("in the order of the blend because of"));
  EXPECT_TRUE(CliJson(terms)["items"][1]["blend_terms"][0]["feature"].is_string());
  for (const auto& [flag, value, range] : {std::tuple("--explain", "-1", "range 0 to 10"),
                                           std::tuple("--explain", "11", "range 0 to 10"),
                                           std::tuple("--page-size", "101", "range 1 to 100")}) {
    const Finished out_of_range = Cli({"recommend", kCustomer, flag, value});
    EXPECT_EQ(out_of_range.exit_code, 2);
    EXPECT_THAT(out_of_range.output, AllOf(HasSubstr(flag), HasSubstr(range)));
  }
}

TEST_F(CliTest, SupposedEventsAndAnonymousSessions) {
  const json plain = CliJson({"recommend", kCustomer, "-n", "3"});
  const std::string first = plain["items"][0]["item_id"];
  const json supposed =
      CliJson({"recommend", kCustomer, "-n", "3", "--what-if", first + ":purchase,22423:view"});
  EXPECT_NE(supposed["items"][0]["item_id"], first);
  EXPECT_EQ(CliJson({"recommend", kCustomer, "-n", "3"})["items"], plain["items"]);
  const json anonymous = CliJson({"recommend", "--anonymous", "--what-if", "22423:view",
                                  "--what-if", std::string(kItem) + ":view"});
  EXPECT_EQ(anonymous["ranker"], "macgnn");
  EXPECT_EQ(CliJson({"rank", "", kItem, "--what-if", "22423:view"})["items"].size(), 1u);

  const Finished nobody = Cli({"recommend", "--anonymous"});
  EXPECT_EQ(nobody.exit_code, 2);
  EXPECT_THAT(nobody.output, HasSubstr("--what-if"));
  const Finished no_type = Cli({"recommend", kCustomer, "--what-if", "22423"});
  EXPECT_EQ(no_type.exit_code, 2);
  EXPECT_THAT(no_type.output, HasSubstr("must be ITEM:TYPE"));
  const Finished refused = Cli({"recommend", kCustomer, "--what-if", "22423:stare"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, HasSubstr("hypothetical_events[0].event_type"));
}

TEST_F(CliTest, AnIngestThatStoppedGoesOnWhereItWasAndCountsNothingTwice) {
  std::string csv = "timestamp,user,item\n";
  for (int i = 0; i < 500; ++i) csv += std::to_string(1'322'000'000 + i) + ",cli-user,85123A\n";
  const std::string file = WriteFile("events.csv", csv);
  const std::string resume = files_.File("resume");

  const json first =
      CliJson({"ingest", file, "--limit", "300", "--batch-size", "50", "--resume-file", resume});
  EXPECT_EQ(first["accepted"], 300);
  EXPECT_EQ(first["acknowledged_record"], 300);
  const json second = CliJson({"ingest", file, "--resume-file", resume});
  EXPECT_EQ(second["accepted"], 200);
  EXPECT_EQ(second["duplicates"], 0);
  const json whole = CliJson({"ingest", file});
  EXPECT_EQ(whole["visible"], true);
  EXPECT_EQ(CliJson({"ingest", file, "--visible-within-s", "0"})["visible"], false) << "not asked";
  EXPECT_EQ(whole["accepted"], 0);
  EXPECT_EQ(whole["duplicates"], 500);
  const json user = CliJson({"--timeout-ms", "60000", "user", "cli-user", "--consistency-token",
                             whole["consistency_token"].get<std::string>()});
  EXPECT_EQ(user["total_count"], "500");
}

TEST_F(CliTest, WhatWasRefusedIsSentAgainOnceItMayBe) {
  std::string csv = "timestamp,user,item\n";
  for (const char* item : {"85123A", "not-yet", "85123A"}) {
    csv += std::to_string(1'322'000'000 + csv.size()) + ",refused-user," + item + "\n";
  }
  const std::string file = WriteFile("refused.csv", csv);
  const std::vector<std::string> resumed = {"ingest", file, "--resume-file", files_.File("at"),
                                            "--resend-refused"};
  const std::vector<std::string> numbered = {"ingest", file, "--producer-id", "refused-producer"};
  const Finished first = Cli(resumed);
  EXPECT_EQ(first.exit_code, 1);
  EXPECT_THAT(first.output, HasSubstr("the first refused is record 2; --resume-file stays before"));
  const Finished first_numbered = Cli(numbered);
  EXPECT_EQ(first_numbered.exit_code, 1);
  EXPECT_THAT(first_numbered.output, HasSubstr("used up: run it without --producer-id"));
  ASSERT_EQ(Cli({"upsert-item", "not-yet"}).exit_code, 0);

  const Finished passed = Cli(numbered);
  EXPECT_EQ(passed.exit_code, 1) << "one is still not in the log";
  EXPECT_THAT(passed.output, HasSubstr("3 records passed over"));
  EXPECT_THAT(passed.output, HasSubstr("1 of what is passed over were refused in an earlier run; "
                                       "without --producer-id they are sent again"));
  const json again = CliJson(resumed);
  EXPECT_EQ(again["accepted"], 1);
  EXPECT_EQ(again["duplicates"], 1) << "what is behind it";
  EXPECT_EQ(CliJson(resumed)["duplicates"], 0) << "now it is behind them";
}

// Otherwise all behind it is sent again at every run, for ever where it is never taken.
TEST_F(CliTest, TheResumeFileGoesOnBehindWhatWasRefusedAndSaysSo) {
  const std::string file =
      WriteFile("never.csv", "timestamp,user,item\n1322000000,never-user,never-there\n");
  const std::vector<std::string> ingest = {"ingest", file, "--resume-file", files_.File("at")};
  const Finished first = Cli(ingest);
  EXPECT_EQ(first.exit_code, 1);
  EXPECT_THAT(first.output, HasSubstr("--resume-file is behind it"));
  const Finished second = Cli(ingest);
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.output, HasSubstr("0 accepted, 0 duplicates, 0 refused"));
  EXPECT_THAT(second.output, HasSubstr("1 of what is passed over were refused in an earlier run; "
                                       "without --resume-file they are sent again"));
  std::vector<std::string> skipping = ingest;
  skipping.emplace_back("--skip-refused");
  EXPECT_EQ(CliJson(skipping)["refused_before_records"], 1) << "counted all the same";
}

// Killed, run again, killed, ... until it ends; each time it goes on where the server is. Each has
// a little longer, so that it gets there on a machine where it takes as long as that to start.
TEST_F(CliTest, AnIngestThatIsKilledOverAndOverCountsEveryEventOnce) {
  std::string csv = "timestamp,user,item\n";
  constexpr int kEvents = 60'000;
  for (int i = 0; i < kEvents; ++i) csv += std::to_string(1'322'000'000 + i) + ",killed,85123A\n";
  const std::string file = WriteFile("killed.csv", csv);
  for (const bool by_sequence : {false, true}) {
    const std::string resume = files_.File("killed.at");
    std::vector<std::string> ingest = {"/usr/bin/timeout",
                                       "-s",
                                       "KILL",
                                       "0.2",  // seconds until it is killed
                                       GROUNDSWELL_CLI_PROGRAM,
                                       "--server",
                                       server_->grpc_address(),
                                       "ingest",
                                       file,
                                       "--batch-size",
                                       "20",
                                       "--id-prefix",
                                       by_sequence ? "sequence" : "resume"};
    const std::vector<std::string> how = by_sequence
                                             ? std::vector<std::string>{"--producer-id", "killed"}
                                             : std::vector<std::string>{"--resume-file", resume};
    ingest.insert(ingest.end(), how.begin(), how.end());
    int runs = 0;
    while (RunProgram(ingest).exit_code != 0) {
      ASSERT_LT(++runs, 200);
      ingest[3] = std::to_string(0.2 + 0.02 * runs);
    }
    if (!by_sequence) {
      EXPECT_TRUE(std::ifstream(resume).good());
    }
    EXPECT_GE(runs, 1) << "it was never killed";
    json counted;
    const std::string all = std::to_string(kEvents * (1 + by_sequence));
    EXPECT_TRUE(Becomes([&] {
      return (counted = CliJson({"--timeout-ms", "20000", "user", "killed"})["total_count"]) == all;
    })) << counted;
  }
}

TEST_F(CliTest, BadRecordsStopTheIngestOrAreCounted) {
  const std::string file = WriteFile(
      "bad.jsonl",
      "{\"timestamp\":1322000000,\"user\":\"bad-cli-user\",\"item\":\"85123A\"}\n"
      "{\"timestamp\":1322000000,\"user\":\"bad-cli-user\",\"item\":\"85123A\",\"weight\":0.5}\n"
      "{\"timestamp\":1322000001,\"user\":\"bad-cli-user\",\"item\":\"no-such-item\"}\n");
  const Finished stopped = Cli({"ingest", file});
  EXPECT_EQ(stopped.exit_code, 1);
  EXPECT_THAT(stopped.output, HasSubstr("record 2: weight is \"0.5\""));
  const Finished counted = Cli({"ingest", file, "--skip-bad-records"});
  EXPECT_EQ(counted.exit_code, 1) << "one record was refused by the server";
  EXPECT_THAT(counted.output, HasSubstr("0 accepted, 1 duplicates, 1 refused, 1 bad records"));
  EXPECT_THAT(counted.output, HasSubstr("no-such-item"));
}

TEST_F(CliTest, LoadReportsLatenciesAndCodes) {
  const json report = CliJson({"--timeout-ms", "20000", "load", "recommend", "--user", kCustomer,
                               "--rate", "100", "--duration-s", "1", "--warmup-s", "0.2"});
  EXPECT_EQ(report["completed"], 100);
  EXPECT_EQ(report["codes"]["OK"], report["completed"]);
  EXPECT_GT(report["latency_ms"]["p99"].get<double>(), 0);
}

}  // namespace
}  // namespace groundswell
