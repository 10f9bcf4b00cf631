#include "compress/lowrank/factorize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "compress/lowrank/factorizer.h"
#include "compress/recipe.h"
#include "core/error.h"
#include "core/parallel.h"
#include "formats/format.h"

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

// (W - B A) m
std::vector<float> lost_mean(const float* w, const LowRank& f, dim begin, dim end, const std::vector<double>& mean) {
  const std::size_t cols = mean.size(), rank = std::size_t(f.rank);
  std::vector<double> inner(rank);
  for (std::size_t k = 0; k < rank; ++k)
    for (std::size_t c = 0; c < cols; ++c) inner[k] += double(f.a[k * cols + c]) * mean[c];
  std::vector<float> out;
  for (std::size_t r = std::size_t(begin); r < std::size_t(end); ++r) {
    double sum = 0;
    for (std::size_t c = 0; c < cols; ++c) sum += double(w[r * cols + c]) * mean[c];
    for (std::size_t k = 0; k < rank; ++k) sum -= double(f.b[r * rank + k]) * inner[k];
    out.push_back(float(sum));
  }
  return out;
}

}  // namespace

const float* keep_values(Scratch& scratch, std::span<const float> values) {
  Buffer bytes(dim(values.size_bytes()));
  std::memcpy(bytes.data(), values.data(), values.size_bytes());
  return reinterpret_cast<const float*>(scratch.keep(std::move(bytes)));
}

Encoded product_of(const LowRank& f, dim begin, dim end) {
  Encoded e;
  e.format = &f32_format();
  e.rows = end - begin;
  e.cols = dim(f.a.size()) / f.rank;
  e.owned = Buffer(e.rows * e.cols * dim(sizeof(float)));
  auto* to = e.owned.as<float>();
  std::fill_n(to, e.rows * e.cols, 0.0f);
  for (dim r = 0; r < e.rows; ++r)
    for (dim k = 0; k < f.rank; ++k)
      for (dim c = 0; c < e.cols; ++c)
        to[r * e.cols + c] += f.b[std::size_t((begin + r) * f.rank + k)] * f.a[std::size_t(k * e.cols + c)];
  e.data = e.owned.data();
  return e;
}

Factorizer::Factorizer(const FactorizeCall& call)
    : call_(call), model_(call.task.model), refits_(call.options.all().contains("refit")) {
  const Selection where = parse_selection(text("where"));
  for (std::size_t i = 0; i < model_.tensors().size(); ++i) {
    const ModelTensor& t = tensor(i);
    if (!is_linear_matrix(t) || t.layer < 0 || !where.has(t)) continue;
    if (const std::string why = cannot_factor(model_, t); !why.empty())
      throw Error(Blame::input, t.name, "expected a matrix that can be factored: " + why,
                  "start from the original model");
    const ModelTensor* leader = model_.find(shared_input(t.role), t.layer, Part::weight, t.expert);
    add(i, text("joint") == "true" && leader && where.has(*leader));
  }
  if (of_layer_.empty()) throw input_error("where", "expected matrices of the model, none is chosen");
}

void Factorizer::add(std::size_t i, bool joint) {
  const ModelTensor& t = tensor(i);
  std::vector<Group>& groups = of_layer_[t.layer];
  const auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& g) {
    const ModelTensor& other = tensor(g.tensors[0]);
    return joint && shared_input(other.role) == shared_input(t.role) && other.expert == t.expert;
  });
  if (same == groups.end()) {
    groups.push_back({{i}, {t.weight.rows, t.weight.cols, {}}});
    ++groups_;
    return;
  }
  same->tensors.push_back(i);
  same->item.rows += t.weight.rows;
}

std::vector<float> Factorizer::values_of(const Group& g) const {
  std::vector<float> out(std::size_t(g.item.rows * g.item.cols));
  float* to = out.data();
  for (const std::size_t i : g.tensors)
    for (dim r = 0; r < tensor(i).weight.rows; ++r, to += g.item.cols) decode_row(tensor(i), r, to);
  return out;
}

Weighing Factorizer::weighing_of(const Group& g, const InputStats* stats) const {
  Weighing out = call_.weigh(g.tensors[0], stats);
  for (std::size_t k = 1; k < g.tensors.size(); ++k) {
    const Weighing more = call_.weigh(g.tensors[k], stats);
    if (out.rows.empty() || more.rows.empty())
      out.rows.clear();
    else
      out.rows.insert(out.rows.end(), more.rows.begin(), more.rows.end());
  }
  return out;
}

LowRank Factorizer::factors_of(const Group& g, const std::vector<float>& w, const Weighing& weighing,
                               const InputStats* stats) const {
  const auto& [rows, cols, values, weight] = g.item;
  LowRank out = call_.factors ? call_.factors(g.tensors[0], w.data(), rows, cols, g.rank, stats)
                              : WeightedSvd(w.data(), rows, cols, weighing, g.rank).factors(g.rank);
  if (refit_wanted() && stats) refit(w.data(), rows, cols, *stats->moment, out);
  for (const auto* all : {&out.a, &out.b})
    if (!std::all_of(all->begin(), all->end(), [](float v) { return std::isfinite(v); }))
      throw input_error(tensor(g.tensors[0]).name, "expected finite factors, got others");
  return out;
}

void Factorizer::factor(Group& g, const InputStats* stats, Calibrator* calibrator) {
  if (g.rank == 0) return;
  const std::vector<float> w = values_of(g);
  const Weighing weighing = weighing_of(g, stats);
  const LowRank found = factors_of(g, w, weighing, stats);
  const Role leader = shared_input(tensor(g.tensors[0]).role);
  dim begin = 0;
  for (const std::size_t i : g.tensors) {
    const ModelTensor& t = tensor(i);
    const dim end = begin + t.weight.rows;
    Factors part{.tensor = i, .rank = g.rank};
    if (call_.biases && !weighing.mean.empty() && t.expert < 0)
      part.bias = lost_mean(w.data(), found, begin, end, weighing.mean);
    std::optional<Encoded> product;  // so that later blocks see what the factors give
    if (calibrator) product = product_of(found, begin, end);
    const std::lock_guard lock(mutex_);
    part.outer = keep_values(
        *scratch_, std::span(found.b).subspan(std::size_t(begin * g.rank), std::size_t((end - begin) * g.rank)));
    if (g.tensors.size() == 1 || t.role == leader) part.inner = keep_values(*scratch_, found.a);
    factors_.push_back(std::move(part));
    begin = end;
    if (!product) continue;
    const ExportTensor out{.source = i, .format = &f32_format(), .rows_from = {}, .slots = {}};
    calibrator->take(out, 0, {product->data, std::size_t(product->owned.size_bytes())});
  }
}

Model Factorizer::run() {
  choose_ranks();
  bool any = false;
  for (const auto& [layer, groups] : of_layer_)
    for (const Group& g : groups) any |= g.rank > 0;
  if (!any)
    throw Error(Blame::input, "ratio", "expected factors that take less than their matrices, none does",
                "raise the ratio, or lower multiple");
  call_.task.progress.begin("factors", dim(groups_));
  walk(text("prefix") == "compressed",
       [&](Group& g, const InputStats* stats, Calibrator* calibrator) { factor(g, stats, calibrator); });
  return factored_model(model_, std::move(factors_), scratch_);
}

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
      {.name = "joint",
       .default_value = "false",
       .help = "queries, keys and values share one inner factor, and so do gates and ups, where all of them are chosen",
       .choices = {"true", "false"}},
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
