// The sequence rankers once more, from their equations (docs/models.md), in double precision, with
// loops only and a row of its own for every candidate: what the served ones are compared with.
#ifndef GROUNDSWELL_TESTS_PROPERTY_SEQUENCE_ORACLE_H_
#define GROUNDSWELL_TESTS_PROPERTY_SEQUENCE_ORACLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/sequence_fixture.h"

namespace groundswell {

class SequenceOracle {
 public:
  using Vector = std::vector<double>;

  // Whose score is asked; the history is in the order of the interface, newest first.
  struct User {
    uint32_t row = 0;
    std::vector<uint32_t> newest_first;
    std::vector<int64_t> times_us = {};  // of the items
    int64_t first_time_us = 0;
    int64_t now_us = 0;
  };

  SequenceModel model;
  CheckpointTensors tensors;
  std::vector<int64_t> categories;
  size_t max_history = 0;

  // Minus infinity for an item that the model does not know. REQUIRES: the user has a score.
  double Score(const User& user, uint32_t candidate) const;

 private:
  Vector Row(const std::string& table, size_t row) const;
  Vector Embed(uint32_t item) const;
  // W x + b, without b where there is no tensor of it.
  Vector Layer(const std::string& name, const Vector& x) const;
  void Activate(const std::string& activation, const std::string& name, Vector& x) const;
  double Mlp(const std::string& name, const Vector& x, const std::string& activation) const;
  // The items that are read, the oldest first.
  std::vector<uint32_t> History(const User& user) const;
  std::vector<Vector> Embedded(const User& user) const;
  std::vector<Vector> GruStates(const std::string& name, const std::vector<Vector>& x,
                                bool resets_after) const;
  Vector Attention(const Vector& t, const std::vector<Vector>& keys,
                   const std::string& activation) const;
  // Caser's features of one picture, with the names of its filters behind `prefix`.
  Vector Horizontal(const std::string& prefix, const std::vector<Vector>& picture) const;
  Vector CaserPart(const std::string& prefix, const std::string& table, bool is_category,
                   const User& user) const;

  double ScoreNcf(const User& user, uint32_t candidate) const;
  double ScoreGru4rec(const User& user, uint32_t candidate) const;
  double ScoreDin(const User& user, uint32_t candidate) const;
  double ScoreCaser(const User& user, uint32_t candidate) const;
  double ScoreDien(const User& user, uint32_t candidate) const;
  // ln(max(time / unit, 0.5))
  double TimeFeature(int64_t time_us) const;
  Vector SlirecLongTerm(const std::vector<Vector>& x) const;
  std::vector<Vector> SlirecStates(const User& user, const Vector& to_now) const;
  double ScoreSlirec(const User& user, uint32_t candidate) const;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_PROPERTY_SEQUENCE_ORACLE_H_
