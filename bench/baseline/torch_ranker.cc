#include "bench/baseline/torch_ranker.h"

#include <ATen/Parallel.h>
#include <cblas.h>
#include <fmt/format.h>
#include <torch/script.h>

#include <algorithm>
#include <utility>

namespace groundswell::baseline {
namespace {

// A view, not a copy: torch::from_blob takes no const pointer, and nothing writes through it.
template <typename T>
torch::Tensor View(const std::vector<T>& values, int64_t rows, int64_t columns) {
  return torch::from_blob(const_cast<T*>(values.data()), {rows, columns},
                          torch::TensorOptions(c10::CppTypeToScalarType<T>::value));
}

// Rows of the model's tables: the item's index and one.
std::vector<int64_t> RowsOf(std::span<const int64_t> items) {
  std::vector<int64_t> rows(items.begin(), items.end());
  for (int64_t& row : rows) ++row;
  return rows;
}

absl::Status Run(const torch::jit::Module& module, std::vector<torch::IValue> inputs,
                 std::vector<float>& logits) {
  try {
    const c10::InferenceMode inference;
    const torch::Tensor output =
        module.get_method("forward")(std::move(inputs)).toTensor().contiguous();
    logits.assign(output.data_ptr<float>(), output.data_ptr<float>() + output.numel());
  } catch (const std::exception& e) {
    return absl::InternalError(fmt::format("libtorch: {}", e.what()));
  }
  return absl::OkStatus();
}

class Macgnn final : public TorchRanker {
 public:
  Macgnn(torch::jit::Module module, size_t recent_len)
      : module_(std::move(module)), recent_len_(static_cast<int64_t>(recent_len)) {}

  bool reads_item_records() const override { return true; }

  // The user's features once, in one row, as bench/torch/macgnn.py has them for serving.
  absl::Status Score(const UserRecord& user, std::span<const int64_t> items,
                     const ItemRecords& records, std::vector<float>& logits) const override {
    const auto count = static_cast<int64_t>(items.size());
    const auto columns_of = [&](size_t length) { return static_cast<int64_t>(length) / count; };
    const std::vector<int64_t> rows = RowsOf(items);
    const auto one_row = [](const auto& values) {
      return View(values, 1, static_cast<int64_t>(values.size()));
    };
    return Run(module_,
               {torch::tensor({int64_t{user.row}}), one_row(user.one_hop), one_row(user.two_hop),
                one_row(user.newest).narrow(1, 0, recent_len_), View(rows, 1, count).flatten(),
                View(records.one_hop, count, columns_of(records.one_hop.size())),
                View(records.two_hop, count, columns_of(records.two_hop.size())),
                View(records.newest_users, count, columns_of(records.newest_users.size()))},
               logits);
  }

 private:
  const torch::jit::Module module_;
  const int64_t recent_len_;
};

class Surge final : public TorchRanker {
 public:
  Surge(torch::jit::Module module, size_t recent_len)
      : module_(std::move(module)), recent_len_(recent_len) {}

  bool reads_item_records() const override { return false; }

  // The history oldest first, padded with row 0.
  absl::Status Score(const UserRecord& user, std::span<const int64_t> items,
                     const ItemRecords& /*records*/, std::vector<float>& logits) const override {
    const size_t kept = std::min(recent_len_, user.newest.size());
    const auto end =
        std::find(user.newest.begin(), user.newest.begin() + static_cast<ptrdiff_t>(kept), 0);
    std::vector<int64_t> history(std::make_reverse_iterator(end), user.newest.rend());
    const auto length = static_cast<int64_t>(history.size());
    if (length == 0) return absl::FailedPreconditionError("SURGE has no score without a history");
    history.resize(recent_len_);
    const std::vector<int64_t> rows = RowsOf(items);
    return Run(module_,
               {View(history, 1, static_cast<int64_t>(recent_len_)), torch::tensor({length}),
                View(rows, 1, static_cast<int64_t>(rows.size())).flatten()},
               logits);
  }

 private:
  const torch::jit::Module module_;
  const size_t recent_len_;
};

torch::jit::Module LoadModule(const std::string& path, TorchRanker::Form form) {
  torch::jit::Module module = torch::jit::load(path);
  module.eval();
  if (form == TorchRanker::Form::kFrozen) return torch::jit::freeze(module);
  if (form == TorchRanker::Form::kOptimised) return torch::jit::optimize_for_inference(module);
  return module;
}

}  // namespace

void UseOneThread() {
  at::set_num_threads(1);
  openblas_set_num_threads(1);
}

absl::StatusOr<std::unique_ptr<TorchRanker>> TorchRanker::Load(const std::string& path,
                                                               const std::string& kind,
                                                               size_t recent_len, Form form) {
  try {
    torch::jit::Module module = LoadModule(path, form);
    if (kind == "macgnn") return std::make_unique<Macgnn>(std::move(module), recent_len);
    if (kind == "surge") return std::make_unique<Surge>(std::move(module), recent_len);
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", path, e.what()));
  }
  return absl::UnimplementedError(fmt::format("no kind \"{}\"; there are macgnn and surge", kind));
}

}  // namespace groundswell::baseline
