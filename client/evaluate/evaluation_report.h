// The result of an evaluation, as a table for people and as JSON for programs.
#ifndef GROUNDSWELL_CLIENT_EVALUATE_EVALUATION_REPORT_H_
#define GROUNDSWELL_CLIENT_EVALUATE_EVALUATION_REPORT_H_

#include <string>

#include "client/evaluate/evaluated_lists.h"
#include "client/evaluate/evaluation.h"

namespace groundswell {

// How an evaluation came about, and what came of it; everything must outlive the call.
struct EvaluationResult {
  std::string_view log;  // name of the file
  const EvaluationOptions& options;
  const EvaluatedLists& lists;
  const EvaluationReport& report;
  bool interrupted = false;
};

// One line per list, what was counted beside them, and the warnings.
std::string EvaluationTable(const EvaluationResult& result);

// One object on one line: settings, server (with its whole configuration), counts, and per list the
// metrics with their 95% intervals (ListMetrics::Estimate; null when unknown) and counts.
std::string EvaluationJson(const EvaluationResult& result);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVALUATE_EVALUATION_REPORT_H_
