// W3C Trace Context (www.w3.org/TR/trace-context): which trace a call belongs to.
#ifndef GROUNDSWELL_SERVER_RPC_TRACE_CONTEXT_H_
#define GROUNDSWELL_SERVER_RPC_TRACE_CONTEXT_H_

#include <optional>
#include <string>
#include <string_view>

namespace groundswell {

struct TraceContext {
  std::string trace_id;   // 32 lower-case hexadecimal digits, not all 0
  std::string parent_id;  // 16 likewise: the caller's span
  std::string flags;      // 2 likewise
};

// Of a `traceparent`: "00-TRACE-PARENT-FLAGS", or that with more behind it in a version that does
// not exist yet. nullopt for anything else, which is to be ignored.
std::optional<TraceContext> ParseTraceParent(std::string_view header);

// What the answer says of it (`traceresponse`): the same trace, and a span of our own.
std::string TraceResponse(const TraceContext& trace);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_TRACE_CONTEXT_H_
