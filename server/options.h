// From the configuration to what each part of the server is given.
#ifndef GROUNDSWELL_SERVER_OPTIONS_H_
#define GROUNDSWELL_SERVER_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "graph/fold/applier.h"
#include "graph/store/rocksdb_log.h"
#include "graph/store/store.h"
#include "index/walks/page_rank.h"
#include "index/walks/random_walk_source.h"
#include "server/config/config.h"
#include "server/ingest/ingest_stream.h"
#include "server/pipeline/admission.h"
#include "server/pipeline/pipeline.h"
#include "server/pipeline/retrieval.h"
#include "server/process/http_endpoint.h"
#include "server/process/http_tls.h"
#include "server/process/metrics.h"
#include "server/process/trusted_clock.h"
#include "server/process/write_watch.h"
#include "server/recommend/ranked_lists.h"
#include "server/recommend/shadow_ranking.h"
#include "server/recommend/unary_runner.h"
#include "server/rpc/access.h"
#include "server/rpc/connect_endpoint.h"
#include "server/rpc/event_checks.h"
#include "server/rpc/grpc_endpoints.h"
#include "server/serving/graph_jobs.h"
#include "server/serving/load_state.h"
#include "server/serving/shared_log.h"
#include "server/serving/trained_log.h"

namespace groundswell {

std::vector<std::string> EventTypeNames(const Config& config);

// `metrics` must outlive the options: it counts the walks.
RandomWalkSource::Options WalkOptionsOf(const Config& config, PipelineMetrics& metrics);
// Likewise.
PageRankSource::Options PageRankOptionsOf(const Config& config, PipelineMetrics& metrics);
Retrieval::Options RetrievalOptionsOf(const Config& config, PipelineMetrics& metrics);

Pipeline::Options PipelineOptionsOf(const Config& config, PipelineMetrics& metrics);

GraphStore::Options StoreOptionsOf(const Config& config, DurabilityMetrics& metrics,
                                   WriteHealth& health);
WriteWatch::Limits WriteLimitsOf(const Config& config);
// `metrics` must outlive the log: it times the writes.
RocksdbLog::Options LogOptionsOf(const Config& config, DurabilityMetrics& metrics);
SharedLogOptions SharedLogOptionsOf(const Config& config);
LoadOptions LoadOptionsOf(const Config& config);
EventTerms EventTermsOf(const Config& config);
Applier::Options ApplierOptionsOf(const Config& config);

Admission::Options AdmissionOptionsOf(const Config& config);
RankedLists::Options ListOptionsOf(const Config& config);
UnaryRunner::Options RunnerOptionsOf(const Config& config);
ShadowRanking::Options ShadowOptionsOf(const Config& config);
AccessControl::Options AccessOptionsOf(const Config& config);
// `clock` must outlive what they are for. `trained`: whose interactions are refused.
IngestOptions IngestOptionsOf(const Config& config, const TrainedLog& trained,
                              const TrustedClock& clock);
GraphJobs::Options JobOptionsOf(const Config& config, const TrustedClock& clock);
// See Removals.
std::optional<std::chrono::seconds> ClockAheadMaxOf(const Config& config);
GrpcEndpoints::Options EndpointOptionsOf(const Config& config);
HttpEndpoint::Limits HttpLimitsOf(const Config& config);
HttpTls::Files HttpTlsFilesOf(const Config& config);
ConnectEndpoint::Options ConnectOptionsOf(const Config& config, RequestMetrics& metrics);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OPTIONS_H_
