// Who may call what, over what: tokens, certificates, rates and addresses on a real server.
#include <gmock/gmock.h>

#include <csignal>
#include <fstream>
#include <optional>

#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

using ::testing::HasSubstr;

constexpr char kOpenssl[] = "/usr/bin/openssl";

class SecurityTest : public testing::Test {
 protected:
  SecurityTest() { ImportSample(directory_.File("db")); }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_.File(name)) << text;
    return directory_.File(name);
  }

  static std::string Sha256(const std::string& text) {
    const Finished done =
        RunProgram({"/bin/sh", "-c", "printf %s " + text + " | sha256sum | cut -d' ' -f1"});
    return done.output.substr(0, 64);
  }

  static std::string Client(const std::string& name, const std::string& identity,
                            const std::string& rights, const std::string& rest = "") {
    return "[[client]]\nname = \"" + name + "\"\n" + identity + "\nrights = [" + rights + "]\n" +
           rest + "\n";
  }
  // Its token is its name.
  static std::string ByToken(const std::string& name, const std::string& rights,
                             const std::string& rest = "") {
    return Client(name, "token_sha256 = \"" + Sha256(name) + "\"", rights, rest);
  }

  void Start(std::vector<std::string> flags) {
    server_.emplace(directory_.File("db"), std::move(flags));
  }

  // The command line with the token of this name, if any.
  Finished Run(const std::string& token, const std::vector<std::string>& arguments, int port = 0) {
    std::vector<std::string> command = {
        GROUNDSWELL_CLI_PROGRAM, "--server",
        "localhost:" + std::to_string(port > 0 ? port : server_->grpc_port()), "--timeout-ms",
        "5000"};
    if (!token.empty()) {
      command.insert(command.end(), {"--token-file", Write(token + ".token", token + "\n")});
    }
    command.insert(command.end(), arguments.begin(), arguments.end());
    return RunProgram(command);
  }

  void ExpectRefused(const Finished& run, const std::string& reason) {
    EXPECT_EQ(run.exit_code, 1) << run.output;
    EXPECT_THAT(run.output, HasSubstr(reason));
  }
  void ExpectAnswered(const Finished& run) { EXPECT_EQ(run.exit_code, 0) << run.output; }

  // A root, and certificates that it signed; files NAME.crt and NAME.key.
  void MakeRoot(const std::string& name) {
    Openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "2", "-subj", "/CN=" + name, "-keyout", directory_.File(name + ".key"),
             "-out", directory_.File(name + ".crt")});
  }
  void MakeCertificate(const std::string& root, const std::string& name,
                       const std::string& subject) {
    Openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
             "/CN=" + subject, "-keyout", directory_.File(name + ".key"), "-out",
             directory_.File(name + ".csr")});
    const std::string names = Write(name + ".ext", "subjectAltName=DNS:" + subject);
    Openssl({"x509", "-req", "-in", directory_.File(name + ".csr"), "-CA",
             directory_.File(root + ".crt"), "-CAkey", directory_.File(root + ".key"),
             "-CAcreateserial", "-days", "2", "-extfile", names, "-out",
             directory_.File(name + ".crt")});
  }
  static void Openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), kOpenssl);
    const Finished done = RunProgram(arguments);
    ASSERT_EQ(done.exit_code, 0) << done.output;
  }

  TemporaryDirectory directory_;
  std::optional<ServerProcess> server_;
};

const std::vector<std::string> kRecommend = {"recommend", kCustomer};

TEST_F(SecurityTest, ATokenGivesItsRightsAndNoOthers) {
  const std::string clients = ByToken("shop", "\"read\"") + ByToken("feeder", "\"write\"") +
                              ByToken("ops", "\"read\", \"admin\"");
  Start({"--access.clients_file=" + Write("clients.toml", clients)});
  const std::string csv = Write(
      "events.csv", "timestamp,user,item\n1322000000,17850,85123A\n1322000001,17850,85123A\n");
  const std::vector<std::string> ingest = {"ingest", csv};

  ExpectRefused(Run("", kRecommend), "CREDENTIALS_MISSING");
  ExpectRefused(Run("guess", kRecommend), "CREDENTIALS_UNKNOWN");
  ExpectAnswered(Run("shop", kRecommend));
  ExpectAnswered(Run("shop", {"user", kCustomer}));
  ExpectRefused(Run("shop", ingest), "RIGHT_MISSING");
  ExpectRefused(Run("shop", {"forget", kCustomer}), "RIGHT_MISSING");
  ExpectRefused(Run("shop", {"status"}), "RIGHT_MISSING");
  ExpectRefused(Run("shop", {"blend"}), "RIGHT_MISSING");
  ExpectRefused(Run("shop", {"blend", "--reset"}), "RIGHT_MISSING");
  ExpectRefused(Run("feeder", kRecommend), "RIGHT_MISSING");
  ExpectRefused(Run("feeder", {"log", "--limit", "1"}), "RIGHT_MISSING");
  const Finished fed = Run("feeder", ingest);
  ExpectAnswered(fed);
  EXPECT_THAT(fed.output, HasSubstr("may not ask what is visible"));
  ExpectAnswered(Run("ops", kRecommend));
  ExpectAnswered(Run("ops", {"status"}));
  ExpectAnswered(Run("ops", {"checkpoint"}));
  ExpectRefused(Run("ops", ingest), "RIGHT_MISSING");
  // Two interactions of the feeder, none of the others'.
  EXPECT_THAT(HttpGet(server_->http_port(), "/metrics"),
              HasSubstr("groundswell_events_total{outcome=\"accepted\",type=\"purchase\"} 2"));
  EXPECT_THAT(HttpGet(server_->http_port(), "/metrics"),
              HasSubstr("groundswell_rejected_total{reason=\"forbidden\"} "));
}

TEST_F(SecurityTest, AClientThatCallsTooOftenIsToldWhenToComeBack) {
  Start({"--access.clients_file=" +
         Write("clients.toml", ByToken("slow", "\"read\", \"write\"", "calls_per_s = 3"))});
  const Stubs stubs(server_->grpc_address());
  const auto call = [&] {
    const auto context = NewContext();
    context->AddMetadata("authorization", "Bearer slow");
    v1::RecommendRequest request;
    request.set_user_id(kCustomer);
    v1::RecommendResponse response;
    return stubs.recommend->Recommend(context.get(), request, &response);
  };
  grpc::Status status;
  int answered = 0;
  while ((status = call()).ok() && answered < 100) ++answered;
  EXPECT_GE(answered, 3);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(RichStatus(status)), "RATE_LIMITED");
  const auto retry = DetailOf<google::rpc::RetryInfo>(RichStatus(status));
  ASSERT_TRUE(retry.has_value());
  EXPECT_LE(retry->retry_delay().seconds(), 1);
  EXPECT_TRUE(Becomes([&] { return call().ok(); }));

  // A stream is told of the interactions that came too soon, and nothing of them is kept.
  const auto context = NewContext();
  context->AddMetadata("authorization", "Bearer slow");
  const auto stream = stubs.interaction->Ingest(context.get());
  int accepted = 0;
  int refused = 0;
  for (int i = 0; i < 20; ++i) {
    v1::IngestRequest batch;
    *batch.add_interactions() = NewInteraction("rate-" + std::to_string(i), kCustomer, kItem);
    ASSERT_TRUE(stream->Write(batch));
    v1::IngestResponse response;
    ASSERT_TRUE(stream->Read(&response));
    accepted += response.accepted_count();
    for (const auto& refusal : response.refusals()) {
      EXPECT_EQ(ReasonOf(refusal.status()), "RATE_LIMITED");
      ++refused;
    }
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_GT(refused, 0);
  EXPECT_EQ(accepted + refused, 20);
  EXPECT_THAT(HttpGet(server_->http_port(), "/metrics"),
              HasSubstr("groundswell_events_total{outcome=\"accepted\",type=\"purchase\"} " +
                        std::to_string(accepted)));

  // A producer that only asks where it is gets the refusal, not the answer of one that is new.
  const auto asks = NewContext();
  asks->AddMetadata("authorization", "Bearer slow");
  const auto asking = stubs.interaction->Ingest(asks.get());
  v1::IngestRequest ask;
  ask.set_producer_id("shop");
  int answers = 0;
  v1::IngestResponse answer;
  while (answers < 100 && asking->Write(ask) && asking->Read(&answer)) ++answers;
  EXPECT_LT(answers, 20);
  const grpc::Status refusal = asking->Finish();
  EXPECT_EQ(refusal.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(RichStatus(refusal)), "RATE_LIMITED");
}

TEST_F(SecurityTest, ClientsAreReadAgainAndABrokenFileChangesNothing) {
  const std::string file = Write("clients.toml", ByToken("old", "\"read\""));
  Start({"--access.clients_file=" + file, "--access.reload_s=1"});
  ExpectAnswered(Run("old", kRecommend));
  ExpectRefused(Run("new", kRecommend), "CREDENTIALS_UNKNOWN");
  Write("clients.toml", "[[client]]\nname = ");
  EXPECT_TRUE(Becomes([&] {
    return HttpGet(server_->http_port(), "/metrics")
               .find("groundswell_access_reload_failures_total 0") == std::string::npos;
  }));
  ExpectAnswered(Run("old", kRecommend));
  Write("clients.toml", ByToken("new", "\"read\""));
  EXPECT_TRUE(Becomes([&] { return Run("new", kRecommend).exit_code == 0; }));
  ExpectRefused(Run("old", kRecommend), "CREDENTIALS_UNKNOWN");
}

TEST_F(SecurityTest, AStreamOfAClientWhoseRightsWereTakenEnds) {
  Start({"--access.clients_file=" + Write("clients.toml", ByToken("feeder", "\"write\"")),
         "--access.reload_s=1"});
  const Stubs stubs(server_->grpc_address());
  const auto context = NewContext();
  context->AddMetadata("authorization", "Bearer feeder");
  const auto stream = stubs.interaction->Ingest(context.get());
  int number = 0;
  const auto send = [&] {
    v1::IngestRequest batch;
    *batch.add_interactions() =
        NewInteraction("taken-" + std::to_string(number++), kCustomer, kItem);
    v1::IngestResponse response;
    return stream->Write(batch) && stream->Read(&response);
  };
  ASSERT_TRUE(send());
  Write("clients.toml", ByToken("feeder", "\"read\""));
  EXPECT_TRUE(Becomes([&] { return !send(); }));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(SecurityTest, TlsIsSpokenAndItsFilesAreReadAgain) {
  MakeRoot("root");
  MakeCertificate("root", "server", "localhost");
  Start({"--tls.certificate_file=" + directory_.File("server.crt"),
         "--tls.key_file=" + directory_.File("server.key"), "--tls.reload_s=1"});
  const auto run = [&](const std::string& root) {
    std::vector<std::string> arguments = {"--ca-file", directory_.File(root + ".crt")};
    arguments.insert(arguments.end(), kRecommend.begin(), kRecommend.end());
    return Run("", arguments);
  };
  ExpectAnswered(run("root"));
  EXPECT_EQ(Run("", kRecommend).exit_code, 1) << "plain text was answered";
  MakeRoot("other");
  EXPECT_EQ(run("other").exit_code, 1) << "a root that did not sign the certificate was believed";
  MakeCertificate("other", "server", "localhost");
  EXPECT_TRUE(Becomes([&] { return run("other").exit_code == 0; }));
  EXPECT_EQ(run("root").exit_code, 1);
}

TEST_F(SecurityTest, MutualTlsTellsClientsByTheirCertificates) {
  MakeRoot("root");
  MakeRoot("stranger");
  MakeCertificate("root", "server", "localhost");
  MakeCertificate("root", "shop", "shop.example");
  MakeCertificate("root", "unlisted", "unlisted.example");
  MakeCertificate("stranger", "forged", "shop.example");
  Start({"--tls.certificate_file=" + directory_.File("server.crt"),
         "--tls.key_file=" + directory_.File("server.key"),
         "--tls.client_ca_file=" + directory_.File("root.crt"),
         "--access.clients_file=" +
             Write("clients.toml", Client("shop", "certificate = \"shop.example\"", "\"read\""))});
  const auto run = [&](const std::string& name, std::vector<std::string> arguments) {
    std::vector<std::string> all = {"--ca-file", directory_.File("root.crt")};
    if (!name.empty()) {
      all.insert(all.end(), {"--certificate-file", directory_.File(name + ".crt"), "--key-file",
                             directory_.File(name + ".key")});
    }
    all.insert(all.end(), arguments.begin(), arguments.end());
    return Run("", all);
  };
  ExpectAnswered(run("shop", kRecommend));
  ExpectRefused(run("shop", {"status"}), "RIGHT_MISSING");
  ExpectRefused(run("unlisted", kRecommend), "CREDENTIALS_MISSING");
  EXPECT_EQ(run("forged", kRecommend).exit_code, 1);
  EXPECT_EQ(run("", kRecommend).exit_code, 1);
}

TEST_F(SecurityTest, TheAdminServiceMayHaveAnAddressOfItsOwn) {
  Start({"--server.admin_address=127.0.0.1:0"});
  ASSERT_NE(server_->admin_port(), server_->grpc_port());
  ExpectAnswered(Run("", {"status"}, server_->admin_port()));
  ExpectAnswered(Run("", kRecommend));
  EXPECT_THAT(Run("", {"status"}).output, HasSubstr("UNIMPLEMENTED"));
  EXPECT_THAT(Run("", kRecommend, server_->admin_port()).output, HasSubstr("UNIMPLEMENTED"));
  EXPECT_EQ(server_->Stop(SIGTERM), 0);
}

TEST_F(SecurityTest, WhatCannotBeUsedStopsTheStart) {
  MakeRoot("root");
  MakeCertificate("root", "server", "localhost");
  const std::string certificate = "--tls.certificate_file=" + directory_.File("server.crt");
  const struct {
    std::vector<std::string> flags;
    std::string message;
  } kCases[] = {
      {{certificate}, "tls.key_file is \"\": tls.certificate_file needs it"},
      {{certificate, "--tls.key_file=" + directory_.File("root.key")}, "it is not the key of"},
      {{certificate, "--tls.key_file=" + directory_.File("none.key")}, "cannot be opened"},
      {{certificate, "--tls.key_file=" + directory_.File("server.crt")}, "must be a private key"},
      {{"--tls.key_file=" + directory_.File("server.key")}, "it needs tls.certificate_file"},
      {{"--access.clients_file=" + directory_.File("none.toml")}, "cannot be opened"},
      {{"--access.clients_file=" + Write("empty.toml", "")}, "nobody could call"},
  };
  for (const auto& [flags, message] : kCases) {
    std::vector<std::string> command = {
        GROUNDSWELL_SERVER_PROGRAM, "serve", "--server.data_dir=" + directory_.File("db"),
        "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0"};
    command.insert(command.end(), flags.begin(), flags.end());
    const Finished run = RunProgram(command);
    EXPECT_EQ(run.exit_code, 1) << run.output;
    EXPECT_THAT(run.output, HasSubstr(message));
  }
}

TEST_F(SecurityTest, ATokenIsNotSentInTheClearToAnotherMachine) {
  const std::string token = Write("token", "secret\n");
  for (const std::string server :
       {"192.0.2.1:7100", "127.example.invalid:7100", "localhost.example.invalid:7100"}) {
    const Finished run = RunProgram({GROUNDSWELL_CLI_PROGRAM, "--server", server, "--token-file",
                                     token, "recommend", kCustomer});
    EXPECT_NE(run.exit_code, 0) << server;
    EXPECT_THAT(run.output, HasSubstr("in the clear")) << server;
  }
}

}  // namespace
}  // namespace groundswell
