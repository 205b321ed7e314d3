// The values of the metrics' labels, each in the order of its enum in metrics.h.
#ifndef GROUNDSWELL_SERVER_PROCESS_METRIC_LABELS_H_
#define GROUNDSWELL_SERVER_PROCESS_METRIC_LABELS_H_

#include <array>

namespace groundswell {

inline constexpr std::array kMethods = {"Recommend",       "BatchRecommend",    "Rank",
                                        "SimilarItems",    "GetUserState",      "TraceRecommend",
                                        "GetItem",         "ListItems",         "ListCategories",
                                        "Ingest",          "RecordInteraction", "ForgetUser",
                                        "GetServerStatus", "CreateCheckpoint",  "VerifyGraph",
                                        "CreateBackup",    "ActivateSnapshot",  "RollBackSnapshot",
                                        "ListSnapshots",   "UpsertItem",        "UpsertItems",
                                        "RemoveItem",      "ReadLog",           "GetListRules",
                                        "SetListRules",    "GetBlend",          "ResetBlend",
                                        "ListSlowCalls"};
inline constexpr std::array kCodeNames = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};
inline constexpr std::array kVectorSides = {"user", "item"};
inline constexpr std::array kVectorRungs = {"encoder", "rule", "none"};
inline constexpr std::array kShadowOutcomes = {"scored", "not_scored", "left_out"};
inline constexpr std::array kStages = {"queue", "user_state", "retrieval",
                                       "rank",  "explain",    "arrange"};
inline constexpr std::array kSteps = {"fewer_candidates",     "ranking_skipped",
                                      "retrieval_skipped",    "stale_state",
                                      "explanations_skipped", "diversity_skipped"};
inline constexpr std::array kFallbacks = {"unknown_user", "user_not_scored"};
inline constexpr std::array kOutcomes = {"accepted", "duplicate", "refused"};
inline constexpr std::array kFoldOutcomeNames = {"applied",      "below_zero",     "overflow",
                                                 "unknown_item", "outside_window", "forgotten"};
inline constexpr std::array kQueues = {"compute", "log"};
inline constexpr std::array kRejections = {"queue_full",  "draining",        "deadline",
                                           "cancelled",   "unauthenticated", "forbidden",
                                           "rate_limited"};
inline constexpr std::array kWriteErrors = {"io",          "no_space", "quota",
                                            "descriptors", "stale",    "other"};
inline constexpr std::array kResults = {"failed", "complete"};
inline constexpr int kUnknownCode = 2;

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_METRIC_LABELS_H_
