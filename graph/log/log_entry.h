// LogEntry: what the log holds at one offset.
#ifndef GROUNDSWELL_GRAPH_LOG_LOG_ENTRY_H_
#define GROUNDSWELL_GRAPH_LOG_LOG_ENTRY_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "graph/ids.h"
#include "graph/log/availability.h"
#include "graph/log/interaction.h"

namespace groundswell {

// SHA-256 of a user's or item's id: what is kept of an id that may not be kept.
using IdHash = std::array<uint8_t, 32>;
IdHash HashId(std::string_view id);

// The first 128 bits of the SHA-256 of an event id: how the window of event ids knows it, and what
// is left of it once its entry is redacted.
using EventIdHash = std::array<uint8_t, 16>;

// An interaction whose content was taken out. It still moves the window, and its event id is still
// taken. If it was with a removed item and made its user known, that is what remains of it; if it
// was a forgotten user's and made its item known, that.
struct Redacted {
  int64_t event_time_us = 0;
  std::string user_id;
  std::optional<AssignedCluster> user_cluster;
  std::string created_item_id;
  std::optional<EventIdHash> event_id_hash = std::nullopt;  // none: redacted by an older server
};

// Takes out everything that the user contributed.
struct ForgetUser {
  std::string event_id;
  std::string user_id;  // empty once the log was redacted
  IdHash user_hash{};
  int64_t time_us = 0;  // events of the user that happened until then are late
};

// Takes the item out of the catalogue, and everything that was ever contributed to it.
struct RemoveItem {
  std::string event_id;
  std::string item_id;  // empty once the log was redacted
  IdHash item_hash{};
  int64_t time_us = 0;
};

// Creates the item, or replaces what the catalogue says of it. Its cluster and what was
// contributed to it stay.
struct UpsertItem {
  std::string event_id;
  std::string item_id;
  std::string title;
  std::string category;
  // In the space of the snapshot `clusters_of`; empty: the item keeps the one that it has, if any.
  std::vector<float> embedding;
  Cluster cluster = 0;      // of an item that is created, among those of the snapshot `clusters_of`
  std::string clusters_of;  // digest of a snapshot
  Availability availability;
};

// From here on the named snapshot serves. Users that it does not know are clustered anew, from what
// the graph holds at this offset.
struct ActivateSnapshot {
  std::string event_id;
  std::string snapshot_digest;
};

// From here on what orders lists is what it was before it learned from the log.
struct ResetBlend {
  std::string event_id;
};

// Replaces the rules for lists by `rules`, if those there are have `etag_before`.
struct SetListRules {
  std::string event_id;
  std::string etag_before;  // empty: whatever there is
  std::string etag;         // EtagOfListRules of `rules`
  // A serialized groundswell.v1.ListRules without its etag. Empty in the log, beside which they are
  // stored: they may name items, which are removed from the log and not from the rules.
  std::string rules;
  bool is_refused = false;  // by the log: the rules there were had another etag
};

// Hexadecimal digits of the SHA-256 of the serialized rules.
std::string EtagOfListRules(std::string_view rules);

using LogEntry = std::variant<Interaction, Redacted, ForgetUser, RemoveItem, UpsertItem,
                              ActivateSnapshot, ResetBlend, SetListRules>;

// The id under which it is de-duplicated; empty for a redacted one.
std::string_view EventIdOf(const LogEntry& entry);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_LOG_LOG_ENTRY_H_
