#include "compress/lowrank/factorize.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

#include "compress/calibrate/calibrator.h"
#include "compress/calibrate/probe.h"
#include "compress/lowrank/ranks.h"
#include "compress/recipe.h"
#include "core/error.h"
#include "core/parallel.h"
#include "formats/format.h"
#include "io/scratch.h"
#include "model/factored.h"

namespace pith {

namespace {

std::string fault_of_selection(std::string_view text) {
  try {
    (void)parse_selection(text);
    return {};
  } catch (const Error& e) {
    return "ROLES[@LAYERS], e.g. ffn_up|ffn_down@20-29";
  }
}

class Factorizer {
 public:
  explicit Factorizer(const FactorizeCall& call)
      : call_(call), model_(call.task.model), refits_(call.options.all().contains("refit")) {
    const Selection where = parse_selection(call_.options.text("where"));
    for (std::size_t i = 0; i < model_.tensors().size(); ++i) {
      const ModelTensor& t = model_.tensors()[i];
      if (!is_linear_matrix(t) || t.layer < 0 || !where.has(t)) continue;
      if (const std::string why = cannot_factor(model_, t); !why.empty())
        throw Error(Blame::input, t.name, "expected a matrix that can be factored: " + why,
                    "start from the original model");
      of_layer_[t.layer].push_back(i);
      items_[i] = {t.weight.rows, t.weight.cols, {}};
    }
    if (items_.empty()) throw input_error("where", "expected matrices of the model, none is chosen");
  }

  Model run() {
    choose_ranks();
    std::size_t left = 0;
    for (const auto& [i, rank] : ranks_) left += rank > 0;
    if (left == 0)
      throw Error(Blame::input, "ratio", "expected factors that take less than their matrices, none does",
                  "raise the ratio, or lower multiple");
    call_.task.progress.begin("factors", dim(items_.size()));
    walk(text("prefix") == "compressed",
         [&](std::size_t i, const InputStats* stats, Calibrator* calibrator) { factor(i, stats, calibrator); });
    std::vector<Factors> all;
    for (auto& [i, f] : factors_) all.push_back(f);
    return factored_model(model_, std::move(all), scratch_);
  }

 private:
  const std::string& text(const char* name) const { return call_.options.text(name); }
  bool refit_wanted() const { return refits_ && text("refit") == "true"; }

  std::vector<float> values_of(std::size_t i) const {
    const ModelTensor& t = model_.tensors()[i];
    std::vector<float> out(std::size_t(t.weight.rows * t.weight.cols));
    for (dim r = 0; r < t.weight.rows; ++r) decode_row(t, r, out.data() + r * t.weight.cols);
    return out;
  }

  // each(tensor, stats, calibrator) for all chosen matrices, those of a block at the same time; where nothing is to be
  // measured without a calibrator.
  template <class Each>
  void walk(bool compressed_prefix, const Each& each) {
    std::optional<Calibrator> calibrator;
    if (call_.moments || refit_wanted())
      calibrator.emplace(model_, call_.task.tokens(),
                         CalibratorOptions{.with_moments = true, .compressed_prefix = compressed_prefix});
    for (const auto& [layer, tensors] : of_layer_) {
      for (dim before = calibrator ? walked_ : layer; before < layer; ++before) {  // blocks that stay as they are
        calibrator->gather(before, call_.task.progress);
        calibrator->advance(before, call_.task.progress);
      }
      if (calibrator) calibrator->gather(layer, call_.task.progress);
      parallel_for(dim(tensors.size()), [&, &tensors = tensors](dim k) {
        const std::size_t i = tensors[std::size_t(k)];
        each(i, calibrator ? calibrator->find(model_.tensors()[i]) : nullptr, calibrator ? &*calibrator : nullptr);
      });
      call_.task.progress.advance(dim(tensors.size()), model_.tensors()[tensors.back()].name);
      if (calibrator) calibrator->advance(layer, call_.task.progress);
      walked_ = layer + 1;
    }
    walked_ = 0;
  }

  // (W - B A) m
  static std::vector<float> lost_mean(const std::vector<float>& w, const LowRank& f, const std::vector<double>& mean) {
    const std::size_t cols = mean.size(), rank = std::size_t(f.rank);
    std::vector<double> inner(rank);
    for (std::size_t k = 0; k < rank; ++k)
      for (std::size_t c = 0; c < cols; ++c) inner[k] += double(f.a[k * cols + c]) * mean[c];
    std::vector<float> out;
    for (std::size_t r = 0; r * cols < w.size(); ++r) {
      double sum = 0;
      for (std::size_t c = 0; c < cols; ++c) sum += double(w[r * cols + c]) * mean[c];
      for (std::size_t k = 0; k < rank; ++k) sum -= double(f.b[r * rank + k]) * inner[k];
      out.push_back(float(sum));
    }
    return out;
  }

  LowRank factors_of(std::size_t i, dim rank, const InputStats* stats, std::vector<float>* bias) const {
    const ModelTensor& t = model_.tensors()[i];
    const std::vector<float> w = values_of(i);
    const Weighing weighing = call_.weigh(i, stats);
    LowRank out = call_.factors ? call_.factors(i, w.data(), t.weight.rows, t.weight.cols, rank, stats)
                                : WeightedSvd(w.data(), t.weight.rows, t.weight.cols, weighing).factors(rank);
    if (refit_wanted() && stats) refit(w.data(), t.weight.rows, t.weight.cols, *stats->moment, out);
    for (const auto* values : {&out.a, &out.b})
      if (!std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); }))
        throw input_error(t.name, "expected finite factors, got others");
    if (call_.biases && !weighing.mean.empty() && t.expert < 0) *bias = lost_mean(w, out, weighing.mean);
    return out;
  }

  const float* keep(const std::vector<float>& values) {
    Buffer bytes(dim(values.size() * sizeof(float)));
    std::memcpy(bytes.data(), values.data(), values.size() * sizeof(float));
    return reinterpret_cast<const float*>(scratch_->keep(std::move(bytes)));
  }

  void factor(std::size_t i, const InputStats* stats, Calibrator* calibrator) {
    const dim rank = ranks_.at(i);
    if (rank == 0) return;
    std::vector<float> bias;
    const LowRank found = factors_of(i, rank, stats, &bias);
    std::optional<Encoded> product;  // so that later blocks see what the factors give
    if (calibrator) product = product_of(found, model_.tensors()[i]);
    const std::lock_guard lock(mutex_);
    factors_[i] = {i, rank, keep(found.b), keep(found.a), std::move(bias)};
    if (!product) return;
    const ExportTensor out{.source = i, .format = &f32_format(), .rows_from = {}, .slots = {}};
    calibrator->take(out, 0, {product->data, std::size_t(product->owned.size_bytes())});
  }

  void choose_ranks() {
    const double ratio = call_.options.number("ratio");
    const dim multiple = dim(call_.options.number("multiple"));
    const std::string& allocation = text("allocation");
    if (allocation != "uniform") measure_spectra(allocation == "sensitivity");
    std::vector<RankItem> items;
    for (const auto& [i, item] : items_) items.push_back(item);
    const std::vector<dim> ranks =
        allocation == "uniform" ? uniform_ranks(items, ratio, multiple) : threshold_ranks(items, ratio, multiple);
    std::size_t k = 0;
    for (const auto& [i, item] : items_) ranks_[i] = ranks[k++];
  }

  // What each matrix's directions carry, as shares of all that it does; and what losing such a share costs.
  void measure_spectra(bool sensitivity) {
    std::map<std::size_t, Weight> factored;  // products, at the uniform rank
    std::map<std::size_t, double> lost;
    const double ratio = call_.options.number("ratio");
    const dim multiple = dim(call_.options.number("multiple"));
    call_.task.progress.begin("spectra", dim(items_.size()));
    walk(false, [&](std::size_t i, const InputStats* stats, Calibrator*) {
      const ModelTensor& t = model_.tensors()[i];
      const std::vector<float> w = values_of(i);
      const WeightedSvd svd(w.data(), t.weight.rows, t.weight.cols, call_.weigh(i, stats));
      const double all = svd.tail(0);
      RankItem item = items_.at(i);
      item.values.assign(svd.values().begin(), svd.values().end());
      if (all > 0)
        for (double& v : item.values) v /= std::sqrt(all);
      const dim rank = std::max<dim>(1, uniform_ranks({&item, 1}, ratio, multiple)[0]);
      std::optional<Encoded> product;
      if (sensitivity) product = product_of(svd.factors(rank), t);
      const std::lock_guard lock(mutex_);
      items_.at(i) = std::move(item);
      if (product) factored.emplace(i, std::move(*product));
      lost[i] = all > 0 ? svd.tail(rank) / all : 0;
    });
    if (sensitivity) weigh_by_divergence(factored, lost);
  }

  static Encoded product_of(const LowRank& f, const ModelTensor& t) {
    Encoded e;
    e.format = &f32_format();
    e.rows = t.weight.rows;
    e.cols = t.weight.cols;
    e.owned = Buffer(e.rows * e.cols * dim(sizeof(float)));
    auto* to = e.owned.as<float>();
    std::fill_n(to, e.rows * e.cols, 0.0f);
    for (dim r = 0; r < e.rows; ++r)
      for (dim k = 0; k < f.rank; ++k)
        for (dim c = 0; c < e.cols; ++c)
          to[r * e.cols + c] += f.b[std::size_t(r * f.rank + k)] * f.a[std::size_t(k * e.cols + c)];
    e.data = e.owned.data();
    return e;
  }

  // Divergence of the model's output when the matrices of one role in a stretch of layers are factored alone.
  void weigh_by_divergence(const std::map<std::size_t, Weight>& factored, const std::map<std::size_t, double>& lost) {
    constexpr dim kStretches = 4;
    std::map<std::pair<Role, dim>, std::vector<std::size_t>> groups;
    for (const auto& [i, item] : items_) {
      const ModelTensor& t = model_.tensors()[i];
      groups[{t.role, t.layer * kStretches / model_.config().layers}].push_back(i);
    }
    Probe probe(model_, call_.task.tokens());
    call_.task.progress.begin("sensitivity", dim(groups.size()));
    for (const auto& [key, members] : groups) {
      std::vector<Block> blocks(model_.blocks().begin(), model_.blocks().end());
      Network network = Network::of(model_);
      network.blocks = blocks;
      double share = 0;
      for (const std::size_t i : members) {
        const ModelTensor& t = model_.tensors()[i];
        find_linear(blocks[std::size_t(t.layer)], t.role, t.expert)->weight = &factored.at(i);
        share += lost.at(i);
      }
      const double divergence = probe.divergence(network);
      for (const std::size_t i : members) items_.at(i).weight = share > 0 ? divergence / share : 0;
      call_.task.progress.advance(1, fmt::format("divergence of {}", role_name(key.first)));
    }
  }

  const FactorizeCall& call_;
  const Model& model_;
  const bool refits_;
  std::map<dim, std::vector<std::size_t>> of_layer_;  // into Model::tensors()
  std::map<std::size_t, RankItem> items_;
  std::map<std::size_t, dim> ranks_;
  std::map<std::size_t, Factors> factors_;
  std::shared_ptr<Scratch> scratch_ = std::make_shared<Scratch>();
  std::mutex mutex_;
  dim walked_ = 0;  // blocks that the text has passed
};

}  // namespace

std::vector<OptionSpec> factorize_options(bool refits) {
  std::vector<OptionSpec> out = {
      {.name = "ratio",
       .default_value = "0.2",
       .help = "of the weights that go",
       .choices = {},
       .low = 0,
       .high = 0.95},
      {.name = "where",
       .default_value = "*",
       .help = "which matrices: ROLES[@LAYERS], e.g. ffn_up|ffn_down@20-29, or * for all",
       .choices = {},
       .fault = fault_of_selection},
      {.name = "allocation",
       .default_value = "uniform",
       .help =
           "how much of each matrix: the same; one threshold of what a direction carries of its matrix, per weight; "
           "or that, weighed by what losing such a share does to the model's output",
       .choices = {"uniform", "global", "sensitivity"}},
      {.name = "multiple",
       .default_value = "32",
       .help = "what ranks are multiples of, so that formats with blocks fit",
       .choices = {},
       .low = 1,
       .high = 4096},
      {.name = "prefix",
       .default_value = "compressed",
       .help = "whose outputs inputs are measured on: the blocks before as they are factored, or the original ones",
       .choices = {"compressed", "original"}}};
  if (refits)
    out.push_back({.name = "refit",
                   .default_value = "false",
                   .help = "then the outer factor is fitted to the inputs by least squares",
                   .choices = {"true", "false"}});
  return out;
}

Model factorize(const FactorizeCall& call) { return Factorizer(call).run(); }

}  // namespace pith
