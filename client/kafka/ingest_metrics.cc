#include "client/kafka/ingest_metrics.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <exception>
#include <string_view>
#include <utility>

namespace groundswell {
namespace {

using prometheus::Counter;
using prometheus::Gauge;

// A counter's total is known elsewhere: it is raised to it.
void RaiseTo(Counter& counter, uint64_t total) {
  const double more = static_cast<double>(total) - counter.Value();
  if (more > 0) counter.Increment(more);
}

}  // namespace

struct KafkaIngestMetrics::State {
  State(const std::string& listen_address, const std::string& topic)
      : labels{{"topic", topic}},
        exposer(listen_address, /*num_threads=*/1),
        address(fmt::format("{}:{}", listen_address.substr(0, listen_address.rfind(':')),
                            exposer.GetListeningPorts().front())),
        records(prometheus::BuildCounter()
                    .Name("groundswell_kafka_offsets_total")
                    .Help("Offsets of the topic that this process dealt with, by what became of "
                          "them")
                    .Labels(labels)
                    .Register(*registry)),
        position(prometheus::BuildGauge()
                     .Name("groundswell_kafka_position")
                     .Help("Offset of the partition up to which the server has dealt with "
                           "everything, durably")
                     .Labels(labels)
                     .Register(*registry)),
        lag(prometheus::BuildGauge()
                .Name("groundswell_kafka_lag")
                .Help("Offsets of the partition that the server has not dealt with")
                .Labels(labels)
                .Register(*registry)),
        lost(prometheus::BuildCounter()
                 .Name("groundswell_kafka_lost_offsets_total")
                 .Help("Offsets that the topic lost before they were taken, and that were passed "
                       "over (--lost-records skip)")
                 .Labels(labels)
                 .Register(*registry)
                 .Add({})),
        dead_letters(prometheus::BuildCounter()
                         .Name("groundswell_kafka_dead_letters_total")
                         .Help("Records that were written to the dead-letter topic")
                         .Labels(labels)
                         .Register(*registry)
                         .Add({})),
        updated(prometheus::BuildGauge()
                    .Name("groundswell_kafka_updated_timestamp_seconds")
                    .Help("When these figures were last brought up to date; it stands still while "
                          "the server does not answer")
                    .Labels(labels)
                    .Register(*registry)
                    .Add({})) {
    exposer.RegisterCollectable(registry);
  }

  void CountOf(const std::string& partition, const char* outcome, uint64_t total) {
    RaiseTo(records.Add({{"partition", partition}, {"outcome", outcome}}), total);
  }

  const prometheus::Labels labels;
  const std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  prometheus::Exposer exposer;
  const std::string address;
  prometheus::Family<Counter>& records;
  prometheus::Family<Gauge>& position;
  prometheus::Family<Gauge>& lag;
  Counter& lost;
  Counter& dead_letters;
  Gauge& updated;
};

KafkaIngestMetrics::KafkaIngestMetrics(std::unique_ptr<State> state) : state_(std::move(state)) {}
KafkaIngestMetrics::~KafkaIngestMetrics() = default;

const std::string& KafkaIngestMetrics::address() const { return state_->address; }

absl::StatusOr<std::unique_ptr<KafkaIngestMetrics>> KafkaIngestMetrics::Listen(
    const std::string& address, const std::string& topic) {
  try {
    return std::unique_ptr<KafkaIngestMetrics>(
        new KafkaIngestMetrics(std::make_unique<State>(address, topic)));
  } catch (const std::exception&) {  // of the HTTP server, which says no more
    return absl::UnavailableError(fmt::format(
        "cannot listen on --metrics-address {}; it must be HOST:PORT, such as 127.0.0.1:7110, "
        "and free",
        address));
  }
}

void KafkaIngestMetrics::Update(const std::vector<PartitionProgress>& progress,
                                const TopicIngest::Totals& totals) {
  for (const PartitionProgress& one : progress) {
    const std::string partition = std::to_string(one.partition);
    state_->CountOf(partition, "accepted", one.counts.accepted);
    state_->CountOf(partition, "duplicate", one.counts.duplicates);
    state_->CountOf(partition, "refused", one.counts.refused);
    state_->CountOf(partition, "bad", one.counts.bad);
    state_->CountOf(partition, "passed_over", one.counts.passed_over);
    state_->CountOf(partition, "empty", one.counts.empty);
    state_->position.Add({{"partition", partition}}).Set(static_cast<double>(one.position));
    state_->lag.Add({{"partition", partition}}).Set(static_cast<double>(one.lag()));
  }
  RaiseTo(state_->lost, totals.lost);
  RaiseTo(state_->dead_letters, totals.dead_letters);
  state_->updated.SetToCurrentTime();
}

}  // namespace groundswell
