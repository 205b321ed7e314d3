#include "graph/upkeep/adjacency_verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace groundswell {
namespace {

// Read again in one go: the applier waits meanwhile, for some milliseconds.
constexpr size_t kUsersPerBatchEdge = 256;

}  // namespace

VerifiedView AdjacencyVerification::View() {
  return {
      .begin = [this] { Begin(); },
      .visit = [this](std::string_view user_id, const UserState& user) { Visit(user_id, user); },
      .finish = [this](Verification& result) { return Finish(result); }};
}

void AdjacencyVerification::Begin() { kept_ = adjacency_.edge_count(); }

void AdjacencyVerification::Visit(std::string_view user_id, const UserState& user) {
  expected_ += InteractionAdjacency::EdgesOf(user);
  if (!adjacency_.Agrees(user)) suspects_.push_back({std::string(user_id), user.index});
}

absl::Status AdjacencyVerification::Finish(Verification& result) {
  // Edges that are there without a user who would say so.
  if (adjacency_.evicted_count() == 0 && kept_ != expected_) {
    result.AddDifference(
        fmt::format("the walks' adjacency has {} edges both ways together, the users' are {}",
                    kept_, expected_));
  }
  for (std::span<const Suspect> rest = suspects_; !rest.empty();) {
    const auto these = rest.first(std::min(kUsersPerBatchEdge, rest.size()));
    if (absl::Status s = LookAgain(these, result); !s.ok()) return s;
    rest = rest.subspan(these.size());
  }
  return absl::OkStatus();
}

absl::Status AdjacencyVerification::LookAgain(std::span<const Suspect> suspects,
                                              Verification& result) {
  absl::Status read;
  absl::Status run = applier_.RunAtBatchEdge([&] {
    for (const Suspect& suspect : suspects) {
      absl::StatusOr<std::optional<UserState>> user = generation_.ReadUser(suspect.user_id);
      if (!user.ok()) {
        read = user.status();
        return;
      }
      // Forgotten meanwhile: nothing of the index is left.
      const UserState now = std::move(*user).value_or(UserState{.index = suspect.index});
      if (adjacency_.Agrees(now)) continue;
      result.AddDifference(
          fmt::format("user \"{}\": the walks' adjacency or the sequence in memory is not "
                      "what the user's edges say",
                      suspect.user_id));
    }
  });
  return run.ok() ? read : run;
}

}  // namespace groundswell
