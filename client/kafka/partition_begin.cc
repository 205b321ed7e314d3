#include "client/kafka/partition_begin.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace groundswell {
namespace {

constexpr int64_t kBase =
    ProducerSequences::kNumbersMax;  // a digit and 1 are numbers of one message

std::string CountOf(const std::string& producer_id) { return producer_id + "/begin"; }
std::string DigitOf(const std::string& producer_id, size_t digit) {
  return fmt::format("{}/begin/{}", producer_id, digit);
}

// What there is: how many digits the begin has, and those that are written.
struct Written {
  std::optional<size_t> digits;
  std::vector<int64_t> values;

  bool is_whole() const { return digits.has_value() && values.size() == *digits; }
};

absl::StatusOr<Written> Read(const std::string& producer_id, const ProducerSequences& sequences) {
  Written written;
  const absl::StatusOr<int64_t> count = sequences.ask(CountOf(producer_id));
  if (!count.ok()) return count.status();
  if (*count > 0) written.digits = static_cast<size_t>(*count - 1);
  bool is_missing = false;
  // One more than there should be: without the count, the first tells of one that was.
  for (size_t digit = 0; digit < std::max<size_t>(written.digits.value_or(1), 1); ++digit) {
    const absl::StatusOr<int64_t> value = sequences.ask(DigitOf(producer_id, digit));
    if (!value.ok()) return value.status();
    if (*value > 0 && (is_missing || !written.digits.has_value())) {
      return absl::FailedPreconditionError(fmt::format(
          "the server has forgotten a part of where {} begins: it knows too many producers "
          "(log.producers_max, to be raised); --name NAME reads the topic as a new source, with "
          "--begin latest unless all of it may be taken again",
          producer_id));
    }
    if (*value == 0) is_missing = true;
    if (*value > 0 && written.values.size() < *written.digits) written.values.push_back(*value - 1);
  }
  return written;
}

int64_t OffsetOf(const std::vector<int64_t>& digits) {
  int64_t offset = 0;
  for (const int64_t digit : digits) offset = offset * kBase + digit;
  return offset;
}

}  // namespace

std::vector<int64_t> DigitsOf(int64_t offset) {
  std::vector<int64_t> digits;
  for (; offset > 0; offset /= kBase) digits.push_back(offset % kBase);
  std::ranges::reverse(digits);
  return digits;
}

std::optional<int64_t> GreatestBegin(const std::vector<int64_t>& written, size_t digits,
                                     int64_t wanted) {
  std::vector<int64_t> of_wanted = DigitsOf(wanted);
  // All of so many digits are less.
  if (of_wanted.size() > digits) of_wanted.assign(digits, kBase - 1);
  of_wanted.insert(of_wanted.begin(), digits - of_wanted.size(), 0);
  const auto [mine, theirs] = std::mismatch(written.begin(), written.end(), of_wanted.begin());
  std::vector<int64_t> begin = written;
  if (mine == written.end()) {
    begin = of_wanted;
  } else if (*mine > *theirs) {
    return std::nullopt;
  } else {
    begin.resize(digits, kBase - 1);
  }
  return OffsetOf(begin);
}

absl::StatusOr<std::optional<int64_t>> ReadBegin(const std::string& producer_id,
                                                 const ProducerSequences& sequences) {
  const absl::StatusOr<Written> written = Read(producer_id, sequences);
  if (!written.ok()) return written.status();
  if (!written->is_whole()) return std::nullopt;
  return OffsetOf(written->values);
}

absl::StatusOr<int64_t> WriteBegin(const std::string& producer_id, int64_t wanted,
                                   const ProducerSequences& sequences) {
  const absl::StatusOr<Written> written = Read(producer_id, sequences);
  if (!written.ok()) return written.status();
  const size_t digits = written->digits.value_or(DigitsOf(wanted).size());
  const std::optional<int64_t> begin = GreatestBegin(written->values, digits, wanted);
  if (!begin.has_value()) {
    return absl::FailedPreconditionError(fmt::format(
        "{} was to begin at a later offset than {}; read the topic under another --name",
        producer_id, wanted));
  }
  if (!written->digits.has_value()) {
    if (absl::Status s = sequences.use_up(CountOf(producer_id), static_cast<int64_t>(digits) + 1);
        !s.ok()) {
      return s;
    }
  }
  std::vector<int64_t> values = DigitsOf(*begin);
  values.insert(values.begin(), digits - values.size(), 0);
  for (size_t digit = written->values.size(); digit < digits; ++digit) {
    if (absl::Status s = sequences.use_up(DigitOf(producer_id, digit), values[digit] + 1);
        !s.ok()) {
      return s;
    }
  }
  return *begin;
}

ProducerSequences SequencesOf(Client& client, SingleBatchOptions options) {
  const auto send = [&client, options = std::move(options)](
                        const std::string& producer_id,
                        const std::vector<v1::Interaction>& interactions) {
    return SendSingleBatch(client, producer_id, interactions, options);
  };
  return {.ask = [send](const std::string& producer_id) -> absl::StatusOr<int64_t> {
            const auto answer = send(producer_id, {});
            if (!answer.ok()) return answer.status();
            return answer->last_sequence();
          },
          .use_up = [send](const std::string& producer_id, int64_t count) -> absl::Status {
            const auto answer =
                send(producer_id, std::vector<v1::Interaction>(static_cast<size_t>(count)));
            if (!answer.ok()) return answer.status();
            if (answer->last_sequence() == count) return absl::OkStatus();
            return absl::UnavailableError(
                "the server did not take where a partition begins; try again");
          }};
}

}  // namespace groundswell
