// Random checkpoints of the sequence rankers (NCF, DIN, Caser, GRU4Rec, DIEN, SLi-Rec) of any
// shape, to be loaded or spoiled.
#ifndef GROUNDSWELL_TESTS_SUPPORT_SEQUENCE_FIXTURE_H_
#define GROUNDSWELL_TESTS_SUPPORT_SEQUENCE_FIXTURE_H_

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/checkpoint_fixture.h"

namespace groundswell {

using SequenceOptions = std::map<std::string, std::string>;

// Which model; `options` lack max_history, which SequenceSizes has.
struct SequenceModel {
  std::string kind;
  SequenceOptions options;

  std::string Option(const std::string& name, const std::string& otherwise) const {
    const auto at = options.find(name);
    return at == options.end() ? otherwise : at->second;
  }
  bool IsOriginal() const { return Option("variant", "deeprec") == "original"; }
  bool ReadsHistory() const { return kind != "ncf"; }
  // For test names: kind and values.
  std::string Name() const {
    std::string name = kind;
    for (const auto& [option, value] : options) {
      name += "_";
      for (const char letter : value) name += letter == '.' ? 'p' : letter;
    }
    return name;
  }
};

// One of every form that is served.
inline std::vector<SequenceModel> SequenceModels() {
  return {
      {"ncf", {}},
      {"gru4rec", {}},
      {"gru4rec", {{"reset", "after"}}},
      {"gru4rec", {{"variant", "original"}, {"reset", "after"}}},
      {"gru4rec", {{"variant", "original"}}},
      {"din", {}},
      {"din", {{"variant", "original"}}},
      {"din", {{"variant", "original"}, {"activation", "dice"}}},
      {"caser", {}},
      {"caser", {{"padding", "masked"}}},
      {"caser", {{"variant", "original"}}},
      {"dien", {}},
      {"dien", {{"activation", "relu"}, {"reset", "after"}, {"augru", "paper"}}},
      {"dien", {{"activation", "relu"}, {"first_layer", "none"}}},
      {"dien", {{"variant", "original"}}},
      {"slirec", {}},
      {"slirec",
       {{"padding", "masked"}, {"time_last", "previous_action"}, {"time_unit_s", "86.4"}}},
  };
}

struct SequenceSizes {
  size_t users = 6, items = 9, categories = 4;  // rows, row 0 included
  size_t max_history = 6;
  size_t item_width = 3, category_width = 2, user_width = 3;
  size_t state = 4;                                  // of a GRU
  size_t evolved = 3;                                // of an AUGRU
  size_t hidden1 = 7, hidden2 = 5;                   // of attentions
  size_t head1 = 6, head2 = 3;                       // of heads
  size_t vertical = 3, horizontal = 2, windows = 2;  // Caser's filters; windows of its "deeprec"
  size_t gmf = 4, mlp_item = 2;                      // NCF
  size_t layers = 2;                                 // of NCF
  bool output_bias = true;                           // of NCF

  size_t d() const { return item_width + category_width; }
};

class SequenceTensorMaker {
 public:
  SequenceTensorMaker(const SequenceModel& model, const SequenceSizes& sizes,
                      std::mt19937_64& random)
      : model_(model), s_(sizes), random_(random) {}

  CheckpointTensors Make() {
    if (model_.kind == "ncf") AddNcf();
    if (model_.kind == "gru4rec") AddGru4rec();
    if (model_.kind == "din") AddDin();
    if (model_.kind == "caser") AddCaser();
    if (model_.kind == "dien") AddDien();
    if (model_.kind == "slirec") AddSlirec();
    return std::move(tensors_);
  }

 private:
  void Add(const std::string& name, const std::vector<size_t>& shape) {
    tensors_[name] = RandomTensor(shape, name.find("embed") != std::string::npos, random_);
  }
  void AddLayer(const std::string& name, size_t out, size_t in) {
    Add(name + ".weight", {out, in});
    Add(name + ".bias", {out});
  }
  void AddDice(const std::string& name, size_t width) {
    Add(name + ".alpha", {width});
    Add(name + ".mean", {width});
    Add(name + ".std", {width});
    for (float& value : tensors_[name + ".std"].values) value += value < 0 ? -0.3f : 0.3f;
  }
  void AddMlp(const std::string& name, size_t in, size_t out1, size_t out2, bool has_dice) {
    AddLayer(name + ".0", out1, in);
    AddLayer(name + ".2", out2, out1);
    AddLayer(name + ".4", 1, out2);
    if (!has_dice) return;
    AddDice(name + ".1", out1);
    AddDice(name + ".3", out2);
  }
  void AddHead(size_t in, bool has_dice = false) {
    AddMlp("head", in, s_.head1, s_.head2, has_dice);
  }
  void AddItems() {
    Add("item_embed.weight", {s_.items, s_.item_width});
    Add("cate_embed.weight", {s_.categories, s_.category_width});
  }
  void AddGru(const std::string& name, size_t h, size_t in, bool resets_after = false) {
    AddLayer(name + ".gates", 2 * h, in + h);
    AddLayer(name + ".candidate", h, in + h);
    if (resets_after) Add(name + ".candidate.state_bias", {h});
  }

  void AddNcf() {
    Add("user_gmf.weight", {s_.users, s_.gmf});
    Add("item_gmf.weight", {s_.items, s_.gmf});
    Add("user_mlp.weight", {s_.users, s_.user_width});
    Add("item_mlp.weight", {s_.items, s_.mlp_item});
    size_t in = s_.user_width + s_.mlp_item;
    for (size_t layer = 0; layer < s_.layers; ++layer) {
      const size_t out = layer % 2 == 0 ? s_.hidden1 : s_.hidden2;
      AddLayer("mlp." + std::to_string(2 * layer), out, in);
      in = out;
    }
    Add("output.weight", {1, s_.gmf + in});
    if (s_.output_bias) Add("output.bias", {1});
  }
  void AddGru4rec() {
    const bool resets_after = model_.Option("reset", "before") == "after";
    if (model_.IsOriginal()) {
      Add("item_embed.weight", {s_.items, s_.item_width});
      AddGru("gru", s_.state, s_.item_width, resets_after);
      Add("output.weight", {s_.items, s_.state});
      Add("output.bias", {s_.items});
      return;
    }
    AddItems();
    AddGru("gru", s_.state, s_.d(), resets_after);
    AddHead(s_.state + s_.d());
  }
  void AddDin() {
    AddItems();
    AddMlp("target.mlp", 4 * s_.d(), s_.hidden1, s_.hidden2, false);
    AddHead(3 * s_.d(), model_.Option("activation", "") == "dice");
    if (!model_.IsOriginal()) {
      Add("target.attention.weight", {s_.d(), s_.d()});
      return;
    }
    AddLayer("user", s_.d(), s_.d());
    Add("item_bias", {s_.items});
  }
  void AddCaser() {
    const bool is_original = model_.IsOriginal();
    const size_t windows = is_original ? s_.max_history : s_.windows;
    const auto add_horizontal = [&](const std::string& prefix, size_t width) {
      for (size_t k = 1; k <= windows; ++k) {
        AddLayer(prefix + "horizontal." + std::to_string(k), s_.horizontal, k * width);
      }
    };
    if (is_original) {
      Add("item_embed.weight", {s_.items, s_.item_width});
      Add("user_embed.weight", {s_.users, s_.user_width});
      AddLayer("vertical", s_.vertical, s_.max_history);
      add_horizontal("", s_.item_width);
      AddLayer("fc", s_.state, s_.vertical * s_.item_width + windows * s_.horizontal);
      Add("output.weight", {s_.items, s_.state + s_.user_width});
      Add("output.bias", {s_.items});
      return;
    }
    AddItems();
    for (const auto& [prefix, width] :
         {std::pair<std::string, size_t>{"item.", s_.item_width}, {"cate.", s_.category_width}}) {
      AddLayer(prefix + "vertical", s_.vertical, s_.max_history * width);
      add_horizontal(prefix, width);
    }
    AddHead(2 * (s_.vertical + windows * s_.horizontal) + s_.d());
  }
  void AddDien() {
    AddItems();
    const bool is_original = model_.IsOriginal();
    const bool has_gru = model_.Option("first_layer", "gru") == "gru";
    const bool has_dice = model_.Option("activation", "dice") == "dice";
    const size_t h = has_gru ? s_.state : s_.d();
    if (has_gru) AddGru("gru", h, s_.d(), model_.Option("reset", "before") == "after");
    AddGru("augru", s_.evolved, h);
    if (is_original) {
      Add("user_embed.weight", {s_.users, s_.user_width});
      AddLayer("target.query", h, s_.d());
      Add("target.query.alpha", {h});
      AddMlp("target.mlp", 4 * h, s_.hidden1, s_.hidden2, false);
      AddHead(s_.user_width + 3 * s_.d() + s_.evolved, true);
      return;
    }
    Add("target.attention.weight", {s_.d(), h});
    AddMlp("target.mlp", 4 * s_.d(), s_.hidden1, s_.hidden2, has_dice);
    AddHead(3 * s_.d() + s_.evolved, has_dice);
  }
  void AddSlirec() {
    AddItems();
    const size_t d = s_.d();
    const size_t y = s_.item_width;
    Add("long.query", {d});
    AddLayer("lstm.gates", 4 * d, y + d);
    for (const std::string name : {"lstm.now", "lstm.last"}) {
      AddLayer(name, d, y + d);
      Add(name + ".input.weight", {d});
      Add(name + ".input.bias", {d});
    }
    Add("lstm.output.time.weight", {d, 2 * d});
    Add("target.attention.weight", {d, d});
    AddMlp("target.mlp", 4 * d, s_.hidden1, s_.hidden2, false);
    AddMlp("alpha", 3 * d + 1, s_.hidden1, s_.hidden2, false);
    AddHead(2 * d);
  }

  const SequenceModel& model_;
  const SequenceSizes& s_;
  std::mt19937_64& random_;
  CheckpointTensors tensors_;
};

inline CheckpointTensors RandomSequenceTensors(const SequenceModel& model,
                                               const SequenceSizes& sizes,
                                               std::mt19937_64& random) {
  return SequenceTensorMaker(model, sizes, random).Make();
}

inline std::vector<int64_t> SequenceCategories(const SequenceSizes& s) {
  return CategoriesInTurn(s.items, s.categories);
}

// As a manifest has them.
inline SequenceOptions WholeSequenceOptions(const SequenceModel& model, const SequenceSizes& s) {
  SequenceOptions options = model.options;
  if (model.ReadsHistory()) options["max_history"] = std::to_string(s.max_history);
  return options;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_SEQUENCE_FIXTURE_H_
