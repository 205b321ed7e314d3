// What streams to a server and works on it while it lives, and remembers what was acknowledged.
#ifndef GROUNDSWELL_TESTS_FAULT_SOAK_CLIENTS_H_
#define GROUNDSWELL_TESTS_FAULT_SOAK_CLIENTS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/integration/sample_server.h"

namespace groundswell {

// Throws std::runtime_error unless it is so.
void Require(bool is_so, const std::string& what);
void RequireOk(const grpc::Status& status, const std::string& what);

// A user's interactions that the graph holds; none of an unknown user.
int64_t TotalOf(const Stubs& stubs, const std::string& user);

// One that numbers its interactions from 1, and what was acknowledged to it.
class SoakProducer {
 public:
  explicit SoakProducer(int number) : number_(number) {}

  // Streams, and begins anew behind what the server has when a stream breaks, until `ended`.
  void StreamUntil(const std::atomic<bool>& ended, const std::string& address, uint64_t seed);

  struct Difference {
    int64_t lost = 0;
    int64_t doubled = 0;
  };
  // What the server has less than was acknowledged, and more than came. The rest, which came
  // without its acknowledgement, counts as acknowledged from now on.
  Difference Compare(const Stubs& stubs);

  int64_t acknowledged() const { return acknowledged_; }
  // Interactions that one user of this producer has, when it has sent this many.
  static int64_t CountOf(int user, int64_t sent);

 private:
  void Stream(const std::atomic<bool>& ended, const Stubs& stubs, std::mt19937_64& random);
  std::string UserOf(int user) const;

  const int number_;
  std::atomic<int64_t> acknowledged_{0};
};

// What an operator does meanwhile; each name is counted by whether the server died in it.
class SoakOperator {
 public:
  SoakOperator(std::string sample, std::string other, std::string backups)
      : snapshots_{std::move(other), std::move(sample)}, backups_(std::move(backups)) {}

  void WorkUntil(const std::atomic<bool>& ended, const std::string& address, uint64_t seed);

  // Users whose forgetting was acknowledged hold nothing.
  void CheckForgotten(const Stubs& stubs) const;

  const std::map<std::string, int>& died_in() const { return died_in_; }
  const std::map<std::string, int>& done() const { return done_; }

 private:
  grpc::Status DoOne(const Stubs& stubs, std::mt19937_64& random);
  grpc::Status Activate(const Stubs& stubs, std::mt19937_64& random);
  grpc::Status Backup(const Stubs& stubs);
  grpc::Status ForgetSomeone(const Stubs& stubs, std::mt19937_64& random);
  grpc::Status ComeAndGo(const Stubs& stubs, std::mt19937_64& random);
  grpc::Status Verify(const Stubs& stubs);

  const std::array<std::string, 2> snapshots_;
  const std::string backups_;
  std::string doing_;
  std::map<std::string, int> died_in_;
  std::map<std::string, int> done_;
  std::vector<std::string> forgotten_;
  int backup_ = 0;
  int victim_ = 0;
  int item_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_FAULT_SOAK_CLIENTS_H_
