// NegativeSampler: items that a user did not take, to be told from the one that they took.
#ifndef GROUNDSWELL_SERVER_OFFLINE_NEGATIVE_SAMPLER_H_
#define GROUNDSWELL_SERVER_OFFLINE_NEGATIVE_SAMPLER_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "graph/ids.h"
#include "graph/state/user_state.h"
#include "index/vectors/embedding_index.h"
#include "index/vectors/live_vectors.h"
#include "server/offline/past_candidates.h"
#include "server/offline/past_log.h"

namespace groundswell {

// Where an item of a row comes from; the numbers are those of the rows' file.
enum class RowSource : int32_t {
  kNone = -1,      // no item was left that the user has not
  kPositive = 0,   // what the user took
  kUniform = 1,    // any item
  kPopular = 2,    // that of an earlier event: an item as often as it was taken
  kSession = 3,    // that of an event within NegativeCounts::session_s before: what people take now
  kRetrieval = 4,  // among the first NegativeCounts::retrieval_depth that the embedding finds
  kCandidate = 5,  // of the list that the sources of a server propose
};

// Per positive.
struct NegativeCounts {
  uint32_t uniform = 2;
  uint32_t popular = 2;
  uint32_t session = 0;
  uint32_t retrieval = 0;
  uint32_t candidates = 0;
  int64_t session_s = 3'600;
  uint32_t retrieval_depth = 100;

  uint32_t total() const { return uniform + popular + session + retrieval + candidates; }
};

struct DrawnItem {
  ItemIndex item{};
  RowSource source = RowSource::kUniform;
};

// What a negative must not be, and what is drawn from: the log as it was at one event.
struct Moment {
  std::span<const PastLog::Event> past;           // events before this one
  std::span<const PastLog::Event> now_and_later;  // this one and those behind it
  const UserState& user;                          // as they were then
  bool is_known = true;                           // PastAsker::is_known
  ItemIndex positive{};
  int64_t time_s = 0;
  size_t item_count = 0;  // items that existed then
};

// The embedding search of the server, over the snapshot's vectors, with the user's vector as the
// live graph has it (LiveVectors): what a ranker is asked to order.
struct EmbeddingSearch {
  const LiveVectors& vectors;
  const EmbeddingIndex& index;
};

class NegativeSampler {
 public:
  // `search` is needed for `counts.retrieval` > 0, `candidates` for `counts.candidates` > 0; both
  // must outlive the sampler.
  NegativeSampler(const NegativeCounts& counts, const EmbeddingSearch* search,
                  PastCandidates* candidates, uint64_t seed)
      : counts_(counts),
        search_(search),
        candidates_(candidates),
        random_(seed),
        of_vectors_(search != nullptr ? search->vectors.NewScratch() : LiveVectors::Scratch()) {}

  // Appends counts.total() items, in the order of NegativeCounts, that the user has not taken and
  // that are not the positive. Repeats happen. Where a source has none, a uniform one takes its
  // place, and its source says so. Candidates do not repeat; an event on an item that the user has
  // gets none of them (kNone), since no server would be asked to find it.
  // REQUIRES: events come in order.
  void Draw(const Moment& moment, std::vector<DrawnItem>& out);

 private:
  void DrawFrom(RowSource source, uint32_t count, const Moment& moment,
                std::vector<DrawnItem>& out);
  DrawnItem DrawUniform(const Moment& moment);
  void FindNearest(const Moment& moment);
  void DrawCandidates(const Moment& moment, std::vector<DrawnItem>& out);

  const NegativeCounts counts_;
  const EmbeddingSearch* const search_;
  PastCandidates* const candidates_;
  std::mt19937_64 random_;
  size_t session_begin_ = 0;        // first event that is not older than session_s
  std::vector<ItemIndex> nearest_;  // of the user's vector
  std::vector<uint32_t> newest_edges_;
  std::vector<ItemIndex> newest_;
  std::vector<ItemIndex> seen_;
  LiveVectors::Scratch of_vectors_;
  std::vector<float> vector_;
  std::vector<ItemIndex> drawn_candidates_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_NEGATIVE_SAMPLER_H_
