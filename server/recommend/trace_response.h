// Traces of lists as the API shows them.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_TRACE_RESPONSE_H_
#define GROUNDSWELL_SERVER_RECOMMEND_TRACE_RESPONSE_H_

#include <span>

#include "groundswell/v1/recommend.pb.h"
#include "server/pipeline/list_trace.h"
#include "server/recommend/recommend_checks.h"

namespace groundswell {

// Everything but the timings, into an empty response. `asked`: what the request lists; those of
// them that the catalogue has are the items of the trace, in this order.
void WriteTrace(const ListTrace& trace, std::span<const AskedItem> asked,
                v1::TraceRecommendResponse& response);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_TRACE_RESPONSE_H_
