#include "compress/lowrank/share_groups.h"

#include <algorithm>
#include <charconv>
#include <deque>

#include "compress/calibrate/probe.h"
#include "core/error.h"
#include "formats/format.h"
#include "io/printable.h"
#include "model/shared.h"
#include "model/surgery/values.h"

namespace pith {

namespace {

using Groups = std::vector<std::vector<dim>>;

// "10-11,14-16"; empty where it is no such text.
Groups parse_groups(std::string_view text) {
  Groups out;
  const char *at = text.data(), *end = at + text.size();
  for (;;) {
    dim first = 0, last = 0;
    const auto low = std::from_chars(at, end, first);
    if (low.ec != std::errc() || low.ptr == end || *low.ptr != '-') return {};
    const auto high = std::from_chars(low.ptr + 1, end, last);
    const bool apart = out.empty() || first > out.back().back();
    if (high.ec != std::errc() || first < 0 || last <= first || last > 100000 || !apart) return {};
    auto& group = out.emplace_back();
    for (dim l = first; l <= last; ++l) group.push_back(l);
    if (high.ptr == end) return out;
    if (*high.ptr != ',') return {};
    at = high.ptr + 1;
  }
}

std::string fault_of_groups(std::string_view text) {
  return text.empty() || !parse_groups(text).empty() ? "" : "runs of blocks, ascending, e.g. 10-11,14-16";
}

Weight view_of(const std::vector<float>& values, const Encoded& like) {
  Encoded e;
  e.format = &f32_format();
  e.rows = like.rows;
  e.cols = like.cols;
  e.data = reinterpret_cast<const std::byte*>(values.data());
  return e;
}

// The divergence when the blocks of a group read one matrix each role.
double cost_of(const Model& model, const Selection& where, const std::vector<dim>& group, bool mean, Probe& probe) {
  std::vector<Block> blocks(model.blocks().begin(), model.blocks().end());
  std::deque<std::vector<float>> values;
  std::deque<Weight> weights;
  for (const std::vector<std::size_t>& tensors : matrices_of(model, where, group)) {
    const ModelTensor& first = model.tensors()[tensors[0]];
    const Linear own = *find_linear(blocks[std::size_t(first.layer)], first.role);
    const Weight* shared = own.weight;
    if (mean) shared = &weights.emplace_back(view_of(values.emplace_back(mean_of(model, tensors)), first.weight));
    for (const dim layer : group) find_linear(blocks[std::size_t(layer)], first.role)->weight = shared;
  }
  Network network = Network::of(model);
  network.blocks = blocks;
  return probe.divergence(network);
}

std::vector<dim> movable_layers(const Model& model, const Selection& where) {
  std::vector<dim> out;
  for (dim l = 0; l < model.config().layers; ++l)
    if (where.layers.empty() || std::count(where.layers.begin(), where.layers.end(), l) > 0) out.push_back(l);
  return out;
}

Groups candidates_of(const std::vector<dim>& layers, std::size_t size) {
  Groups out;
  for (std::size_t i = 0; i + size <= layers.size(); ++i)
    if (layers[i + size - 1] == layers[i] + dim(size) - 1)
      out.emplace_back(layers.begin() + dim(i), layers.begin() + dim(i + size));
  return out;
}

bool overlap(const std::vector<dim>& a, const std::vector<dim>& b) {
  return a.front() <= b.back() && b.front() <= a.back();
}

Groups search(const ReshapeTask& task, const Options& options, const Selection& where) {
  const dim layers = task.model.config().layers, size = dim(options.number("group"));
  const dim named = dim(options.number("blocks"));
  const dim wanted = named > 0 ? named : std::max<dim>(1, layers / 10);
  const Groups candidates = candidates_of(movable_layers(task.model, where), std::size_t(size));
  Probe probe(task.model, task.tokens());
  task.progress.begin("similar blocks", dim(candidates.size()));
  std::vector<std::pair<double, std::size_t>> ranked;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    ranked.emplace_back(cost_of(task.model, where, candidates[i], options.text("base") == "mean", probe), i);
    task.progress.advance(1, fmt::format("blocks {} to {} alike", candidates[i].front(), candidates[i].back()));
  }
  std::sort(ranked.begin(), ranked.end());
  Groups out;
  for (const auto& of_group : ranked) {
    const std::vector<dim>& next = candidates[of_group.second];
    const bool taken = std::any_of(out.begin(), out.end(), [&](const auto& g) { return overlap(g, next); });
    if (!taken && dim(out.size()) * (size - 1) < wanted) out.push_back(next);
  }
  if (dim(out.size()) * (size - 1) < wanted)
    throw Error(Blame::input, "share",
                fmt::format("expected room for {} blocks that read a neighbour's matrices, found it for {}", wanted,
                            dim(out.size()) * (size - 1)),
                "fewer `blocks`, a larger `group`, or more layers in `where`");
  std::sort(out.begin(), out.end());
  return out;
}

void check(const Model& model, const Selection& where) {
  bool any = false;
  for (const ModelTensor& t : model.tensors()) {
    if (t.layer < 0 || !is_linear_matrix(t) || !where.has(t)) continue;
    any = true;
    if (const std::string why = cannot_share(model, t); !why.empty())
      throw Error(Blame::input, printable(t.name), "expected a matrix that can be shared: " + why,
                  "start from the original model");
  }
  if (!any) throw input_error("where", "expected matrices of the model, none is chosen");
}

}  // namespace

std::vector<float> mean_of(const Model& model, const std::vector<std::size_t>& tensors) {
  std::vector<float> out = decoded(model.tensors()[tensors.at(0)]);
  for (std::size_t k = 1; k < tensors.size(); ++k) {
    const std::vector<float> more = decoded(model.tensors()[tensors[k]]);
    for (std::size_t i = 0; i < more.size(); ++i) out[i] += (more[i] - out[i]) / float(k + 1);
  }
  return out;
}

std::vector<std::vector<std::size_t>> matrices_of(const Model& model, const Selection& where,
                                                  const std::vector<dim>& layers) {
  std::vector<std::vector<std::size_t>> out;
  for (std::size_t i = 0; i < model.tensors().size(); ++i) {
    const ModelTensor& t = model.tensors()[i];
    if (!is_linear_matrix(t) || std::count(layers.begin(), layers.end(), t.layer) == 0 || !where.has(t)) continue;
    const auto same = std::find_if(out.begin(), out.end(),
                                   [&](const auto& tensors) { return model.tensors()[tensors[0]].role == t.role; });
    (same == out.end() ? out.emplace_back() : *same).push_back(i);
  }
  return out;
}

std::vector<std::vector<dim>> choose_groups(const ReshapeTask& task, const Options& options) {
  const Selection where = parse_selection(options.text("where"));
  check(task.model, where);
  const std::string& named = options.text("groups");
  if (named.empty()) return search(task, options, where);
  Groups out = parse_groups(named);
  const std::vector<dim> movable = movable_layers(task.model, where);
  for (const std::vector<dim>& group : out)
    for (const dim layer : group)
      if (std::count(movable.begin(), movable.end(), layer) == 0)
        throw input_error("groups", "expected blocks 0 to {} that `where` selects, got {}",
                          task.model.config().layers - 1, layer);
  return out;
}

std::vector<OptionSpec> group_options() {
  return {{.name = "blocks",
           .default_value = "0",
           .help = "how many blocks read matrices of another one; 0: a tenth of all",
           .choices = {},
           .low = 0,
           .high = 10000},
          {.name = "group",
           .default_value = "2",
           .help = "neighbours that share one set of matrices",
           .choices = {},
           .low = 2,
           .high = 10000},
          {.name = "groups",
           .default_value = "",
           .help = "the runs of blocks that share, e.g. 10-11,14-16, instead of those found most alike",
           .choices = {},
           .fault = fault_of_groups}};
}

}  // namespace pith
