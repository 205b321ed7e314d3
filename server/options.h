// From the configuration to what each part of the server is given.
#ifndef GROUNDSWELL_SERVER_OPTIONS_H_
#define GROUNDSWELL_SERVER_OPTIONS_H_

#include <string>
#include <vector>

#include "index/walks/random_walk_source.h"
#include "server/config/config.h"
#include "server/pipeline/retrieval.h"
#include "server/process/metrics.h"
#include "server/serving/load_state.h"

namespace groundswell {

std::vector<std::string> EventTypeNames(const Config& config);

// `metrics` must outlive the options: it counts the walks.
RandomWalkSource::Options WalkOptionsOf(const Config& config, PipelineMetrics& metrics);
Retrieval::Options RetrievalOptionsOf(const Config& config, PipelineMetrics& metrics);

LoadOptions LoadOptionsOf(const Config& config);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OPTIONS_H_
