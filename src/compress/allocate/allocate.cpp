#include "compress/allocate/allocate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "compress/allocate/sensitivity.h"
#include "compress/allocate/solver.h"
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
};
using ItemKey = std::pair<dim, Role>;  // layer, role

bool is_sought(const ModelTensor& t) {
  const bool matrix = t.part != Part::bias && !t.vector;
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
       dim highest)
      : model_(model), recipe_(recipe), container_(container), name_(target.filename().string()) {
    plans_ = choose_formats(model, recipe, container);
    items_ = items_of(model, recipe, plans_);
    if (items_.empty()) throw input_error("max-bytes", "expected matrices to choose formats for, all are decided");
    list_formats(lowest, highest);
    fixed_ = total_bytes(std::vector<std::size_t>(items_.size(), 0)) - bytes_of_first();
  }

  std::vector<Override> within(dim max_bytes, Progress& progress) {
    if (smallest() + fixed_ > max_bytes) throw too_small(max_bytes);
    if (!std::exchange(measured_, true)) measure(progress);
    dim budget = max_bytes - fixed_;
    for (int attempt = 0; attempt < 8; ++attempt) {
      const std::vector<std::size_t> chosen = choose_within(options_, budget);
      if (chosen.empty()) break;
      const dim total = total_bytes(chosen);
      if (total <= max_bytes) return overrides_of(chosen);
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
    }
    for (const auto& [key, item] : items_) {
      std::vector<Option>& out = options_.emplace_back();
      for (const Format* f : item.formats) {
        dim bytes = 0;
        for (const std::size_t i : item.tensors) {
          const Encoded& w = model_.tensors()[i].weight;
          bytes += w.rows * row_bytes(*f, w.cols);
        }
        out.push_back({bytes, 0});
      }
    }
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
    std::size_t next = 0, i = 0;
    for (const auto& [key, item] : items_) {
      std::vector<Option>& out = options_[i++];
      for (std::size_t t = 0; t < item.tensors.size(); ++t, ++next)
        for (std::size_t f = 0; f < out.size(); ++f)
          out[f].cost += measured[next].candidates[f].error * measured[next].divergence_per_error;
    }
  }

  // Of the whole file with these formats, exactly.
  dim total_bytes(const std::vector<std::size_t>& chosen) const {
    std::vector<const Format*> format_of(model_.tensors().size(), nullptr);
    for (const TensorPlan& plan : plans_) format_of[plan.source] = plan.to;
    std::size_t i = 0;
    for (const auto& [key, item] : items_) {
      for (const std::size_t t : item.tensors) format_of[t] = item.formats[chosen[i]];
      ++i;
    }
    return plan_export(model_, container_, format_of, name_).total_bytes();
  }

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
  std::vector<Override> overrides_of(const std::vector<std::size_t>& chosen) const {
    std::vector<Override> out;
    std::size_t i = 0;
    for (const auto& [key, item] : items_) {
      const Format* f = item.formats[chosen[i++]];
      const auto same = std::find_if(out.begin(), out.end(), [&, role = key.second](const Override& o) {
        return o.where.roles[0] == role && o.format == f;
      });
      Override& o = same != out.end() ? *same : out.emplace_back(Override{{{key.second}, {}}, f});
      if (key.first >= 0) o.where.layers.push_back(key.first);
    }
    return out;
  }

  const Model& model_;
  const Recipe& recipe_;
  Container container_;
  std::string name_;
  std::vector<TensorPlan> plans_;
  std::map<ItemKey, Item> items_;
  double mean_bits_ = 0;
  dim fixed_ = 0;  // bytes that no choice changes
  bool measured_ = false;
  std::vector<std::vector<Option>> options_;  // as items_
};

FormatBudget::FormatBudget(const Model& model, const Recipe& recipe, Container container,
                           const std::filesystem::path& target, dim lowest, dim highest)
    : impl_(std::make_unique<Impl>(model, recipe, container, target, lowest, highest)) {}
FormatBudget::~FormatBudget() = default;

dim FormatBudget::smallest_bytes() const { return impl_->smallest() + impl_->fixed_; }

std::vector<Override> FormatBudget::within(dim max_bytes, Progress& progress) {
  return impl_->within(max_bytes, progress);
}

std::vector<Override> allocate_formats(const Model& model, const Recipe& recipe, Container container,
                                       const std::filesystem::path& target, Progress& progress) {
  PITH_CHECK(recipe.max_bytes);
  return FormatBudget(model, recipe, container, target, *recipe.max_bytes, *recipe.max_bytes)
      .within(*recipe.max_bytes, progress);
}

}  // namespace pith
