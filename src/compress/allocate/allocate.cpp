#include "compress/allocate/allocate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "compress/allocate/sensitivity.h"
#include "compress/allocate/solver.h"
#include "compress/allocate/tails.h"
#include "compress/lowrank/ranks.h"
#include "compress/policy.h"
#include "core/error.h"

namespace pith {

namespace {

constexpr std::size_t kMostSequences = 32;  // of the calibration text: enough for mean squares

// The matrices of one role in one layer (experts are several): they get one format.
struct Item {
  std::vector<std::size_t> tensors;  // into Model::tensors()
  dim values = 0;
  std::vector<const Format*> formats;
  std::vector<dim> ranks = {0};  // of a correction beside it
};
using ItemKey = std::pair<dim, Role>;  // layer, role

bool is_sought(const ModelTensor& t) {
  const bool matrix = t.part != Part::bias && !t.vector && !is_difference(t);
  return matrix && (is_linear(t.role) || t.role == Role::embed || t.role == Role::lm_head);
}

bool is_decided(const ModelTensor& t, const Recipe& recipe) {
  return std::any_of(recipe.overrides.begin(), recipe.overrides.end(),
                     [&](const Override& o) { return o.where.has(t); });
}

std::map<ItemKey, Item> items_of(const Model& model, const Recipe& recipe, std::span<const TensorPlan> plans) {
  std::map<ItemKey, Item> items;
  for (const TensorPlan& plan : plans) {
    const ModelTensor& t = model.tensors()[plan.source];
    if (!is_sought(t) || is_decided(t, recipe)) continue;
    Item& item = items[{t.layer, t.role}];
    item.tensors.push_back(plan.source);
    item.values += t.weight.rows * t.weight.cols;
  }
  return items;
}

// All that the container stores in these shapes and that are not far from the bits there are on average.
void add_formats(const Model& model, Container container, double least_bits, double most_bits, Item& item) {
  for (const Format* f : all_formats()) {
    if (is_dense(*f)) continue;
    const bool stored = std::all_of(item.tensors.begin(), item.tensors.end(), [&](std::size_t i) {
      const ModelTensor& t = model.tensors()[i];
      return fits(*f, t.weight.cols) && misfit(container, *f, t).empty();
    });
    if (!stored) continue;
    const double bits = bits_per_weight(*f, model.tensors()[item.tensors[0]].weight.cols);
    if (bits > 0.45 * least_bits && bits < 2 * most_bits + 1.5) item.formats.push_back(f);
  }
}

}  // namespace

struct FormatBudget::Impl {
  Impl(const Model& model, const Recipe& recipe, Container container, const std::filesystem::path& target, dim lowest,
       dim highest, const std::optional<CorrectionChoice>& correction)
      : model_(model),
        recipe_(recipe),
        container_(container),
        name_(target.filename().string()),
        correction_(correction) {
    plans_ = choose_formats(model, recipe, container);
    items_ = items_of(model, recipe, plans_);
    if (items_.empty()) throw input_error("max-bytes", "expected matrices to choose formats for, all are decided");
    list_formats(lowest, highest);
    fixed_ = total_bytes(std::vector<std::size_t>(items_.size(), 0)) - bytes_of_first();
  }

  BudgetSplit within(dim max_bytes, Progress& progress) {
    if (smallest() + fixed_ > max_bytes) throw too_small(max_bytes);
    if (!std::exchange(measured_, true)) measure(progress);
    BudgetSplit alone = split(max_bytes, without_ranks());
    if (!correction_) return alone;
    BudgetSplit both = split(max_bytes, options_);
    both.bits_alone = alone.predicted;
    return both.predicted < alone.predicted ? both : alone;
  }

  // Of each item the options without a correction, which are the first ones.
  std::vector<std::vector<Option>> without_ranks() const {
    std::vector<std::vector<Option>> out = options_;
    std::size_t i = 0;
    for (const auto& [key, item] : items_) out[i++].resize(item.formats.size());
    return out;
  }

  BudgetSplit split(dim max_bytes, const std::vector<std::vector<Option>>& options) const {
    dim budget = max_bytes - fixed_;
    for (int attempt = 0; attempt < 8; ++attempt) {
      const std::vector<std::size_t> chosen = choose_within(options, budget);
      if (chosen.empty()) break;
      const dim total = total_bytes(chosen);
      if (total <= max_bytes) return split_of(chosen);
      budget -= total - max_bytes;  // alignment between tensors
    }
    throw too_small(max_bytes);
  }

  Error too_small(dim asked) const {
    return Error(Blame::input, "max-bytes",
                 fmt::format("expected at least {} bytes, got {}", smallest() + fixed_, asked),
                 "the smallest formats that fit these shapes take so much");
  }

  void list_formats(dim lowest, dim highest) {
    dim values = 0;
    for (const auto& [key, item] : items_) values += item.values;
    const double least = 8.0 * double(lowest) / double(values), most = 8.0 * double(highest) / double(values);
    mean_bits_ = std::sqrt(least * most);
    for (auto& [key, item] : items_) {
      add_formats(model_, container_, least, most, item);
      if (item.formats.empty()) add_formats(model_, container_, 8, 8, item);
      if (item.formats.empty()) item.formats = {&f16_format()};  // a shape that nothing smaller fits
      add_ranks(key, item);
    }
    for (const auto& [key, item] : items_) {
      std::vector<Option>& out = options_.emplace_back();
      for (const dim rank : item.ranks)
        for (const Format* f : item.formats) {
          dim bytes = correction_bytes(item, rank);
          for (const std::size_t i : item.tensors) {
            const Encoded& w = model_.tensors()[i].weight;
            bytes += w.rows * row_bytes(*f, w.cols);
          }
          out.push_back({bytes, 0});
        }
    }
  }

  // Adapters are of single linear layers; beyond break-even they take more than what they correct.
  void add_ranks(const ItemKey& key, Item& item) const {
    const ModelTensor& t = model_.tensors()[item.tensors[0]];
    if (!correction_ || item.tensors.size() != 1 || !is_linear_matrix(t) || t.expert >= 0 || key.first < 0) return;
    for (const dim rank : correction_->ranks)
      if (rank < break_even_rank(t.weight.rows, t.weight.cols)) item.ranks.push_back(rank);
  }

  dim correction_bytes(const Item& item, dim rank) const {
    constexpr dim kEntryBytes = 384;  // at most: names, shapes, ranks and alignment of two tensors in the adapter
    if (rank == 0) return 0;
    const Encoded& w = model_.tensors()[item.tensors[0]].weight;
    return dim(std::ceil(double(rank * (w.rows + w.cols)) * correction_->bytes_per_value)) + kEntryBytes;
  }

  void measure(Progress& progress) {
    std::vector<std::size_t> tensors;
    SensitivityOptions options;
    options.probe_bits = mean_bits_;
    for (const auto& [key, item] : items_)
      for (const std::size_t t : item.tensors) {
        tensors.push_back(t);
        options.formats.push_back(item.formats);
      }
    CalibrationTokens tokens =
        calibration_tokens(model_, recipe_.calibration ? *recipe_.calibration : CalibrationChoice{});
    if (tokens.sequences.size() > kMostSequences) tokens.sequences.resize(kMostSequences);
    progress.begin("sensitivity", dim(tensors.size()));
    const std::vector<Sensitivity> measured = measure_sensitivity(model_, tensors, tokens, options, progress);
    const Tails tails = correction_ ? tails_of(tokens, progress) : Tails{};
    std::size_t next = 0, i = 0;
    for (const auto& [key, item] : items_) {
      std::vector<Option>& out = options_[i++];
      for (std::size_t t = 0; t < item.tensors.size(); ++t, ++next)
        for (std::size_t k = 0; k < out.size(); ++k) {
          const std::size_t f = k % item.formats.size(), r = k / item.formats.size();
          const double damage = measured[next].candidates[f].error * measured[next].divergence_per_error;
          const double left =
              r == 0 ? 1 : tails.at({key.second, stretch_of(model_, key.first), item.formats[f]})[r - 1];
          out[k].cost += damage * left;
        }
    }
  }

  Tails tails_of(const CalibrationTokens& tokens, Progress& progress) const {
    std::vector<TailItem> items;
    for (const auto& [key, item] : items_)
      if (item.ranks.size() > 1) items.push_back({item.tensors[0], item.formats});
    const Step* rounds = nullptr;
    for (const Step& step : recipe_.steps)
      if (method_or_throw(step.method).layer) rounds = &step;
    const Method& method = method_or_throw(rounds ? rounds->method : "rtn");
    const Options options(method.name, method.options, rounds ? rounds->options : std::vector<std::string>{});
    return measure_tails(model_, items, correction_->ranks, method, options, tokens, progress);
  }

  // Of the whole file with these formats, exactly.
  dim total_bytes(const std::vector<std::size_t>& chosen) const {
    std::vector<const Format*> format_of(model_.tensors().size(), nullptr);
    for (const TensorPlan& plan : plans_) format_of[plan.source] = plan.to;
    std::size_t i = 0;
    dim corrections = 0;
    for (const auto& [key, item] : items_) {
      for (const std::size_t t : item.tensors) format_of[t] = format_at(item, chosen[i]);
      corrections += correction_bytes(item, rank_at(item, chosen[i++]));
    }
    constexpr dim kAdapterHead = 2048;  // at most, of the rest of the adapter
    if (corrections > 0) corrections += kAdapterHead;
    return plan_export(model_, container_, format_of, name_).total_bytes() + corrections;
  }

  static const Format* format_at(const Item& item, std::size_t option) {
    return item.formats[option % item.formats.size()];
  }
  static dim rank_at(const Item& item, std::size_t option) { return item.ranks[option / item.formats.size()]; }

  dim bytes_of_first() const {
    dim sum = 0;
    for (const auto& item : options_) sum += item[0].bytes;
    return sum;
  }

  dim smallest() const {
    dim sum = 0;
    for (const auto& item : options_)
      sum += std::min_element(item.begin(), item.end(), [](const Option& a, const Option& b) {
               return a.bytes < b.bytes;
             })->bytes;
    return sum;
  }

  // Layers of one role with one format together.
  BudgetSplit split_of(const std::vector<std::size_t>& chosen) const {
    BudgetSplit split;
    std::size_t i = 0;
    for (const auto& [key, item] : items_) {
      const auto& [layer, role] = key;
      const std::size_t option = chosen[i];
      split.predicted += options_[i++][option].cost;
      if (const dim rank = rank_at(item, option); rank > 0) split.ranks[{role, layer}] = rank;
      const Format* f = format_at(item, option);
      const auto same = std::find_if(split.formats.begin(), split.formats.end(), [&, of = role](const Override& o) {
        return o.where.roles[0] == of && o.format == f;
      });
      Override& o = same != split.formats.end() ? *same : split.formats.emplace_back(Override{{{role}, {}}, f});
      if (layer >= 0) o.where.layers.push_back(layer);
    }
    split.bits_alone = split.predicted;
    return split;
  }

  const Model& model_;
  const Recipe& recipe_;
  Container container_;
  std::string name_;
  std::optional<CorrectionChoice> correction_;
  std::vector<TensorPlan> plans_;
  std::map<ItemKey, Item> items_;
  double mean_bits_ = 0;
  dim fixed_ = 0;  // bytes that no choice changes
  bool measured_ = false;
  std::vector<std::vector<Option>> options_;  // as items_: all formats with the first rank, with the next one, ...
};

FormatBudget::FormatBudget(const Model& model, const Recipe& recipe, Container container,
                           const std::filesystem::path& target, dim lowest, dim highest,
                           const std::optional<CorrectionChoice>& correction)
    : impl_(std::make_unique<Impl>(model, recipe, container, target, lowest, highest, correction)) {}
FormatBudget::~FormatBudget() = default;

dim FormatBudget::smallest_bytes() const { return impl_->smallest() + impl_->fixed_; }

BudgetSplit FormatBudget::within(dim max_bytes, Progress& progress) { return impl_->within(max_bytes, progress); }

std::vector<Override> allocate_formats(const Model& model, const Recipe& recipe, Container container,
                                       const std::filesystem::path& target, Progress& progress) {
  PITH_CHECK(recipe.max_bytes);
  return FormatBudget(model, recipe, container, target, *recipe.max_bytes, *recipe.max_bytes)
      .within(*recipe.max_bytes, progress)
      .formats;
}

}  // namespace pith
