#include "server/rpc/client_list.h"
#include "tests/fuzz/seed_corpus.h"

namespace groundswell {

std::vector<std::string> SeedCorpus() {
  return {R"([[client]]
name = "shop"
token_sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
rights = ["read", "write"]
calls_per_s = 500
[[client]]
name = "ops"
certificate = "ops.example"
rights = ["admin"]
)",
          "[[client]]\nname = \"a\"\ncertificate = \"\"\nrights = [\"read\"]", "client = [1, {}]",
          // The digest of an empty token.
          "[[client]]\nname = \"a\"\nrights = [\"read\"]\ntoken_sha256 = "
          "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""};
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  const auto clients = ClientList::Parse(AsText(data, size));
  if (!clients.ok()) return 0;
  Require(clients->size() > 0 && clients->size() <= ClientList::kClientsMax, "somebody may call");
  Require(clients->FindByToken("") == nullptr, "no token is nobody's");
  Require(clients->FindByCertificate("") == nullptr, "no name is nobody's");
  return 0;
}
