// What is kept of a log entry to know it again: hashes, which outlive the entry's redaction.
#ifndef GROUNDSWELL_GRAPH_LOG_ENTRY_HASH_H_
#define GROUNDSWELL_GRAPH_LOG_ENTRY_HASH_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "graph/log/log_entry.h"

namespace groundswell {

EventIdHash HashEventId(std::string_view event_id);

// Of the id under which the entry is de-duplicated, also of a redacted one.
std::optional<EventIdHash> EventIdHashOf(const LogEntry& entry);

// 16 bits of XXH3 over the event id and what the entry asks for, and a 1 before them: the same for
// two of one id that ask for the same, and of 65,536 that ask for something else for one. When each
// came, and what the server itself added to it, is left aside. Kept beside the hash of the id,
// since the record may be redacted at any time. No more bits than that: whoever knows the id of a
// redacted entry could find out by trying who took what.
uint64_t ContentHashOf(const LogEntry& entry);

// Set in the content hash of an entry that the log refused, so that the same again is refused too.
inline constexpr uint64_t kRefusedContent = 1 << 17;

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_LOG_ENTRY_HASH_H_
