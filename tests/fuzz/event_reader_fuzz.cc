#include <sstream>

#include "client/events/event_reader.h"
#include "tests/fuzz/seed_corpus.h"

namespace groundswell {

std::vector<std::string> SeedCorpus() {
  return {
      "Ctimestamp,user,item,quantity\n1291191960,17850,21730,6\n1291191960,17850,\"a,\"\"b\",1\n",
      "Ctimestamp,user,item,type,weight,event_id\n2011-11-22T22:13:20Z,u,i,view,-1,e1\r\n",
      "J{\"timestamp\":1322000000.5,\"user\":\"u\",\"item\":\"i\",\"weight\":2}\n{}\n",
      "J[1]\n{\"timestamp\":\"x\"}\n"};
}

}  // namespace groundswell

// The first byte says how to read the rest: J as JSON lines, anything else as CSV.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  if (size == 0) return 0;
  std::istringstream input(std::string(AsText(data + 1, size - 1)));
  EventReader reader(input, {.format = data[0] == 'J' ? EventFormat::kJsonLines : EventFormat::kCsv,
                             .columns = {},
                             .id_prefix = "fuzz"});
  for (size_t records = 0; records <= size + 1; ++records) {
    const auto event = reader.Next();
    if (absl::IsInvalidArgument(event.status())) continue;  // the next record may be good
    if (!event.ok() || !event->has_value()) return 0;
    const v1::Interaction& interaction = (*event)->interaction;
    Require(!interaction.event_id().empty() && !interaction.user_id().empty() &&
                !interaction.item_id().empty(),
            "an interaction has its ids");
    Require(interaction.event_time().seconds() >= 0, "the time is not before 1970");
    std::string bytes;
    Require(interaction.SerializeToString(&bytes) && v1::Interaction().ParseFromString(bytes),
            "an interaction is valid UTF-8 throughout");
  }
  Require(false, "reading ends");
  return 0;
}
