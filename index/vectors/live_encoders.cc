#include "index/vectors/live_encoders.h"

#include <fmt/format.h>

#include <string_view>

namespace groundswell {
namespace {

std::string_view SideName(EncoderSide side) { return side == EncoderSide::kUser ? "user" : "item"; }

absl::StatusOr<const Encoder*> ChooseEncoder(std::span<const std::unique_ptr<Encoder>> encoders,
                                             EncoderSide side, const std::string& name) {
  if (name == kNoEncoder) return nullptr;
  std::string known;
  for (const auto& encoder : encoders) {
    if (encoder->side() != side) continue;
    known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", encoder->name());
    const bool is_gathered = IsGathered(*encoder);
    if (name == kFirstEncoder && is_gathered) return encoder.get();
    if (name != encoder->name()) continue;
    if (is_gathered) return encoder.get();
    return absl::InvalidArgumentError(fmt::format(
        "encoder.{} names \"{}\", which reads features, relations or blocks; these are not "
        "gathered from the live graph. \"{}\" leaves it out",
        SideName(side), name, kNoEncoder));
  }
  if (name == kFirstEncoder) return nullptr;
  return absl::InvalidArgumentError(
      fmt::format("encoder.{} names \"{}\", which the snapshot does not have; of that side it has "
                  "{}; \"{}\" and \"{}\" hold for any snapshot",
                  SideName(side), name, known.empty() ? "none" : known, kFirstEncoder, kNoEncoder));
}

}  // namespace

bool IsGathered(const Encoder& encoder) {
  const EncoderShape shape = encoder.shape();
  return shape.features == 0 && shape.relations.empty() && shape.layers == 0 &&
         (shape.clusters == 0 || encoder.side() == EncoderSide::kUser);
}

absl::StatusOr<LiveEncoders> ChooseEncoders(std::span<const std::unique_ptr<Encoder>> encoders,
                                            const std::string& user, const std::string& item) {
  const auto of_users = ChooseEncoder(encoders, EncoderSide::kUser, user);
  if (!of_users.ok()) return of_users.status();
  const auto of_items = ChooseEncoder(encoders, EncoderSide::kItem, item);
  if (!of_items.ok()) return of_items.status();
  return LiveEncoders{.user = *of_users, .item = *of_items};
}

}  // namespace groundswell
