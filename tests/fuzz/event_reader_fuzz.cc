#include <sstream>

#include "client/events/event_reader.h"
#include "csv/log_input.h"
#include "tests/fuzz/seed_corpus.h"

namespace groundswell {

std::vector<std::string> SeedCorpus() {
  return {
      "Ctimestamp,user,item,quantity\n1291191960,17850,21730,6\n1291191960,17850,\"a,\"\"b\",1\n",
      "Ctimestamp,user,item,type,weight,event_id\n2011-11-22T22:13:20Z,u,i,view,-1,e1\r\n",
      "J{\"timestamp\":1322000000.5,\"user\":\"u\",\"item\":\"i\",\"weight\":2}\n{}\n",
      "J[1]\n{\"timestamp\":\"x\"}\n",
      "Acustomer_id;sku;event;ts\r\nu;i;view;2019-10-01 00:00:00 UTC\r\n",
      "Auser_id:token\titem_id:token\trating:float\ttimestamp:float\nu\ti\t4.5\t1322000000000\n",
      "Suser::item::ts\n1::2::9\n1::2::2011-11-22\n",
      "A{\"visitor\":\"u\",\"sku\":1,\"ts\":7}\n",
      std::string("A\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x04\0\x43\xbe\xb7\xe8\x01\0\0\0", 22),
      "A\x28\xb5\x2f\xfd"};
}

}  // namespace groundswell

// The first byte says how to read the rest: J as JSON lines, C as CSV, S sorted, anything else as
// it seems to be.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  if (size == 0) return 0;
  std::istringstream input(std::string(AsText(data + 1, size - 1)));
  LogInput decompressed;
  Require(decompressed.Open(input).ok(), "a stream opens");
  const LogFileFormat format = data[0] == 'J'   ? LogFileFormat::kJsonLines
                               : data[0] == 'C' ? LogFileFormat::kCsv
                                                : LogFileFormat::kAuto;
  EventReader reader(decompressed.stream(),
                     {.log = {.format = format, .type_column_or_type = "how"},
                      .id_prefix = "fuzz",
                      .sort_bytes_max = data[0] == 'S' ? size_t{1} << 16 : 0});
  // A compressed byte stands for at most some thousands of bytes.
  for (size_t records = 0; records <= 50'000 * size + 1; ++records) {
    const auto event = reader.Next();
    if (reader.IsOfRecord(event.status())) continue;  // the next record may be good
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
