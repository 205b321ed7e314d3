#include "server/offline/past_candidates.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "server/pipeline/visit.h"

namespace groundswell {
namespace {

// The own past proposes what the user has, and the popular order is published by the clock.
constexpr SourceBit kPastSources[] = {kFromEmbedding, kFromSimilarItems, kFromNextItems,
                                      kFromWalk,      kFromTrending,     kFromCluster};

// Items of a source that is named, and off by default.
constexpr size_t kQuotaOfOthers = 100;

absl::Status NoSource(std::string_view name) {
  std::string known;
  for (const SourceBit source : kPastSources) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", NameOf(source));
  }
  return absl::InvalidArgumentError(
      fmt::format("there are no past candidates of the source \"{}\"; there are {}", name, known));
}

Retrieval::Options LearningOptionsOf(const CandidateDraw& draw) {
  Retrieval::Options options;
  options.quotas = draw.quotas;
  return options;
}

}  // namespace

absl::StatusOr<SourceQuotas> QuotasOfNamed(std::string_view names) {
  const SourceQuotas by_default;
  SourceQuotas named = by_default;
  for (const CandidateSource& source : kCandidateSources) named[source.bit] = 0;
  for (const absl::string_view part :
       absl::StrSplit(absl::string_view(names.data(), names.size()), ',')) {
    const std::string_view name(part.data(), part.size());
    const SourceBit source = SourceNamed(name);
    if (std::ranges::find(kPastSources, source) == std::end(kPastSources)) return NoSource(name);
    named[source] = by_default[source] > 0 ? by_default[source] : kQuotaOfOthers;
  }
  return named;
}

PastCandidates::PastCandidates(const Sources& sources, const CandidateDraw& draw)
    : sources_(sources),
      draw_(draw),
      candidates_({.adjacency = sources.adjacency,
                   .trending = sources.trending,
                   .embedding_index = sources.embedding_index},
                  LearningOptionsOf(draw)),
      of_vectors_(sources.vectors.NewScratch()) {}

void PastCandidates::FindVector(const PastAsker& asker) {
  vector_.clear();
  if (draw_.quotas[kFromEmbedding] == 0) return;
  vector_.resize(sources_.vectors.dim());
  const int64_t now_us = asker.time_s * kMicrosPerSecond;
  const LiveVectors::User asked{
      .state = asker.user,
      .newest = recent_.newest,
      .is_in_visit = !recent_.items.empty() && IsInVisit(recent_.items[0].time_us, now_us)};
  if (sources_.vectors.OfUser(asked, sources_.embedding_index.Trained(), of_vectors_, vector_) ==
      VectorOrigin::kNone) {
    vector_.clear();
  }
}

ItemFilter PastCandidates::FilterFor(const PastAsker& asker) {
  seen_.clear();
  for (const Edge& edge : asker.user.edges) seen_.push_back(edge.item);
  taken_now_.assign(1, asker.positive);
  for (const PastLog::Event& event : asker.now_and_later) {
    if (event.time_s != asker.time_s) break;
    if (event.user == asker.user.index) taken_now_.push_back(event.item);
  }
  std::ranges::sort(taken_now_);
  ItemFilter filter;
  if (!seen_.empty()) filter.Exclude(seen_);
  filter.Exclude(taken_now_);
  return filter;
}

std::span<const ItemIndex> PastCandidates::Find(const PastAsker& asker, uint64_t seed) {
  FindRecentItems(&asker.user, recent_);
  FindVector(asker);
  const ItemFilter filter = FilterFor(asker);
  sources_.trending.Advance(asker.time_s * kMicrosPerSecond);
  candidates_.Propose({.user = asker.user,
                       .recent = recent_,
                       .vector = vector_,
                       .filter = filter,
                       .has_cluster = asker.is_known,
                       .whole = true,
                       .seed = seed},
                      table_);
  found_.clear();
  for (const Candidate& candidate : table_.rows()) found_.push_back(candidate.item);
  return found_;
}

void PastCandidates::Draw(size_t count, std::mt19937_64& random, std::vector<ItemIndex>& out) {
  if (draw_.by_source) {
    DrawBySource(count, random, out);
  } else {
    DrawUniformly(count, random, out);
  }
}

void PastCandidates::DrawUniformly(size_t count, std::mt19937_64& random,
                                   std::vector<ItemIndex>& out) {
  pools_.resize(1);
  pools_[0].resize(found_.size());
  std::iota(pools_[0].begin(), pools_[0].end(), 0);
  is_drawn_.assign(found_.size(), false);
  while (count > 0 && DrawOne(pools_[0], random, out)) --count;
}

void PastCandidates::DrawBySource(size_t count, std::mt19937_64& random,
                                  std::vector<ItemIndex>& out) {
  size_t sources = 0;
  for (const SourceBit source : kPastSources) {
    if (pools_.size() <= sources) pools_.emplace_back();
    pools_[sources].clear();
    for (uint32_t at = 0; at < found_.size(); ++at) {
      if ((table_.rows()[at].sources & source) != 0) pools_[sources].push_back(at);
    }
    if (!pools_[sources].empty()) ++sources;
  }
  if (sources == 0) return;
  is_drawn_.assign(found_.size(), false);
  const size_t first = random() % sources;
  // Ends when a whole round finds nothing more.
  for (size_t turn = 0, without = 0; count > 0 && without < sources; ++turn) {
    if (DrawOne(pools_[(first + turn) % sources], random, out)) {
      --count;
      without = 0;
    } else {
      ++without;
    }
  }
}

bool PastCandidates::DrawOne(std::vector<uint32_t>& of_source, std::mt19937_64& random,
                             std::vector<ItemIndex>& out) {
  while (!of_source.empty()) {
    const size_t chosen = random() % of_source.size();
    const uint32_t at = of_source[chosen];
    of_source[chosen] = of_source.back();
    of_source.pop_back();
    if (is_drawn_[at]) continue;  // another source proposed it too
    is_drawn_[at] = true;
    out.push_back(found_[at]);
    return true;
  }
  return false;
}

}  // namespace groundswell
