// A shopper buys the first item that is recommended, and is recommended others.
//
//   buy_the_first localhost:7100 17850
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>

#include "client/client.h"

namespace {

namespace v1 = groundswell::v1;

void Print(const v1::RecommendResponse& list) {
  for (const v1::RecommendedItem& item : list.items()) {
    std::cout << "  " << item.item_id() << ' ' << item.title() << '\n';
  }
}

int Fail(const absl::Status& status) {
  std::cerr << status << '\n';
  return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: buy_the_first ADDRESS USER\n";
    return EXIT_FAILURE;
  }
  groundswell::Client client({.address = argv[1]});
  v1::RecommendRequest request;
  request.set_user_id(argv[2]);
  request.set_page_size(5);
  const auto before = client.Recommend(request);
  if (!before.ok()) return Fail(before.status());
  if (before->items().empty()) return Fail(absl::NotFoundError("nothing is recommended"));
  Print(*before);

  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t now_s = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  v1::RecordInteractionRequest purchase;
  v1::Interaction& interaction = *purchase.mutable_interaction();
  interaction.set_event_id("example:" + std::to_string(now.count()));
  interaction.set_user_id(argv[2]);
  interaction.set_item_id(before->items(0).item_id());
  interaction.set_event_type("purchase");
  interaction.mutable_event_time()->set_seconds(now_s);
  const auto recorded = client.RecordInteraction(purchase);
  if (!recorded.ok()) return Fail(recorded.status());

  // The answer contains the purchase.
  request.set_consistency_token(recorded->consistency_token());
  const auto after = client.Recommend(request);
  if (!after.ok()) return Fail(after.status());
  std::cout << "bought " << interaction.item_id() << "; now\n";
  Print(*after);
  return EXIT_SUCCESS;
}
