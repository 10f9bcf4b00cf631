#include "report/study/charts_of.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "report/human.h"
#include "report/study/positions.h"

namespace pith::report {
namespace {

std::string megabytes(double v) { return v >= 1 ? fmt::format("{:.4g} MB", v) : fmt::format("{:.3g} kB", 1000 * v); }
std::string percent(double v) { return fmt::format("{:.3g} %", 100 * v); }

constexpr std::size_t kMarks = 14;   // marks differ in colour and shape: more than there are colours
constexpr std::size_t kInside = 12;  // models whose inside a page shows, where there are more: of the best

// Marks by method; methods beyond the last mark share it.
class Groups {
 public:
  explicit Groups(const Study& study) {
    for (const ModelRecord& m : study.models)
      if (std::find(names_.begin(), names_.end(), m.method) == names_.end()) names_.push_back(m.method);
    for (std::string& name : names_)
      if (name.empty()) name = "as found";
    if (names_.size() > kMarks) {
      names_.resize(kMarks);
      names_.back() = "others";
    }
  }
  std::size_t of(const ModelRecord& m) const {
    const std::string name = m.method.empty() ? "as found" : m.method;
    const auto at = std::find(names_.begin(), names_.end(), name);
    return at == names_.end() ? names_.size() - 1 : std::size_t(at - names_.begin());
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
};

bool spread(const std::vector<double>& values, double factor) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return !values.empty() && *low > 0 && *high > factor * *low;
}

AxisChoice quality_axis(const Study& study) {
  const bool kl = has_divergence(study);
  std::vector<double> values;
  for (const ModelRecord& m : study.models)
    if (const auto q = quality_of(m); q && q->mean > 0) values.push_back(q->mean);
  return {
      .title = kl ? "KL divergence from the original, nats per token (less is better)" : "perplexity (less is better)",
      .log = spread(values, kl ? 3 : 6)};
}

std::vector<ScatterPoint> points_of(const Study& study, const Groups& groups, double (*x)(const ModelRecord&),
                                    std::string (*x_text)(double)) {
  std::vector<ScatterPoint> points;
  const auto add = [&](const ModelRecord& m, std::size_t group) {
    const auto q = quality_of(m);
    if (!q || x(m) <= 0) return;
    points.push_back({m.name, fmt::format("{}: {}, {:.4g} ± {:.2g}", m.name, x_text(x(m)), q->mean, q->half_width),
                      x(m), q->mean, q->half_width, group});
  };
  for (const ModelRecord& m : study.models) add(m, groups.of(m));
  return points;
}

// All models, or of many those that none beats in both bytes and quality.
std::vector<const ModelRecord*> shown_inside(const Study& study) {
  std::vector<const ModelRecord*> shown;
  std::vector<ScatterPoint> points;
  for (const ModelRecord& m : study.models) {
    shown.push_back(&m);
    points.push_back({.name = m.name, .hint = {}, .x = double(m.size.file_bytes), .y = INFINITY});
    if (const auto q = quality_of(m)) points.back().y = q->mean;
  }
  if (shown.size() <= kInside) return shown;
  std::vector<const ModelRecord*> front;
  for (const std::size_t i : front_of(points, true)) front.push_back(shown[i]);
  if (front.size() > kInside) front.resize(kInside);
  return front;
}

Table table_of(const Scatter& chart, const char* x, const char* y) {
  Table t{{{"model", false}, {x, true}, {y, true}, {"± (95 %)", true}}, {}};
  std::vector<ScatterPoint> sorted = chart.points;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.x < b.x; });
  for (const ScatterPoint& p : sorted)
    t.rows.push_back({p.name, chart.x.text(p.x), fmt::format("{:.5g}", p.y), fmt::format("{:.2g}", p.y_half_width)});
  return t;
}

const char* quality_title(const Study& study) { return has_divergence(study) ? "KL divergence" : "perplexity"; }

void add_scatter(Page& page, Scatter chart, const Study& study, const std::string& id, const std::string& caption,
                 const char* x_column) {
  if (chart.points.empty()) return;
  const Table behind = table_of(chart, x_column, quality_title(study));
  page.figure(
      id, chart.frame.title, caption,
      [&](const ChartFrame& frame) {
        chart.frame = frame;
        chart.frame.height = frame.narrow() ? 340 : 430;
        if (frame.narrow() && has_divergence(study)) chart.y.title = "KL divergence (less is better)";
        return scatter_svg(chart);
      },
      behind);
}

}  // namespace

void add_size_chart(Page& page, const Study& study, const std::string& prefix) {
  const Groups groups(study);
  Scatter chart;
  chart.frame.title = "Quality against bytes";
  chart.points = points_of(
      study, groups, [](const ModelRecord& m) { return double(m.size.file_bytes) / 1e6; }, megabytes);
  chart.groups = groups.names();
  std::vector<double> sizes;
  for (const ScatterPoint& p : chart.points) sizes.push_back(p.x);
  if (study.base) {
    chart.guide = double(study.base->size.file_bytes) / 1e6;
    chart.guide_name = "original";
    sizes.push_back(chart.guide);
  }
  chart.x = {.title = "bytes of the weight files", .log = spread(sizes, 2.2), .text = megabytes};
  chart.y = quality_axis(study);
  chart.front = Scatter::Front::low_x;
  add_scatter(
      page, chart, study, prefix + "size",
      "Each mark is a file. Nothing measured is both smaller and better than what lies on the dotted line. Bars "
      "are 95 % intervals.",
      "file");
}

void add_speed_chart(Page& page, const Study& study, const std::string& prefix) {
  const Groups groups(study);
  Scatter chart;
  chart.frame.title = "Quality against speed";
  const auto rate = [](double v) { return v < 100 ? fmt::format("{:.4g}", v) : human_count(dim(std::lround(v))); };
  chart.points = points_of(
      study, groups, [](const ModelRecord& m) { return m.speed ? m.speed->decode : 0.0; },
      [](double v) { return fmt::format("{:.4g} tokens/s", v); });
  chart.groups = groups.names();
  if (study.base && study.base->speed && study.base->speed->decode > 0) {
    chart.guide = study.base->speed->decode;
    chart.guide_name = "original";
  }
  chart.x = {.title = "tokens written per second (more is better)", .with_zero = true, .text = rate};
  chart.y = quality_axis(study);
  chart.front = Scatter::Front::high_x;
  add_scatter(page, chart, study, prefix + "speed",
              "Nothing measured is both faster and better than what lies on the dotted line.", "tokens/s");
}

void add_task_chart(Page& page, const Study& study, const std::string& prefix) {
  std::map<std::string, BarGroup> by_task;
  Table behind{
      {{"task", false}, {"model", false}, {"metric", false}, {"value", true}, {"± (95 %)", true}, {"items", true}}, {}};
  const auto all = all_of(study);
  for (std::size_t i = 0; i < all.size(); ++i)
    for (const TaskRecord& t : all[i]->tasks) {
      BarGroup& group = by_task[t.name];
      group.name = fmt::format("{}, {}", t.name, t.metric);
      const double half = 1.96 * t.error;
      group.bars.push_back({all[i]->name, t.value, std::max(0.0, t.value - half), t.value + half, i});
      behind.rows.push_back({t.name, all[i]->name, t.metric, fmt::format("{:.4f}", t.value),
                             fmt::format("{:.4f}", half), fmt::to_string(t.items)});
    }
  if (by_task.empty()) return;
  Bars chart;
  for (auto& [name, group] : by_task) chart.groups.push_back(group);
  chart.x = {.title = "share right (or the task's own measure)",
             .text = [](double v) { return fmt::format("{:.3g}", v); }};
  page.figure(
      prefix + "tasks", "Tasks", "Intervals hold 95 %, from the standard error over items.",
      [&](const ChartFrame& frame) {
        chart.frame = frame;
        return bars_svg(chart);
      },
      behind);
}

void add_layer_map(Page& page, const Study& study, const std::string& prefix) {
  HeatMap map;
  Table behind{{{"model", false}}, {}};
  std::size_t layers = 0;
  for (const ModelRecord& m : study.models)
    if (m.layers) layers = std::max(layers, m.layers->errors.size());
  for (std::size_t l = 0; l < layers; ++l) {
    map.cols.push_back(fmt::to_string(l));
    behind.columns.push_back({fmt::to_string(l), true});
  }
  for (const ModelRecord& m : study.models) {
    if (!m.layers || m.layers->errors.empty()) continue;
    std::vector<double> values = m.layers->errors;
    values.resize(layers, NAN);
    std::vector<std::string> cells = {m.name};
    for (const double v : values) cells.push_back(std::isfinite(v) ? percent(v) : "");
    map.rows.push_back(m.name);
    map.values.push_back(std::move(values));
    behind.rows.push_back(std::move(cells));
  }
  if (map.rows.empty()) return;
  map.x_title = "block";
  map.text = percent;
  page.figure(
      prefix + "layers", "Error after each block",
      "How far the hidden states after each block are from the original's, |h - h'| / |h|, on the text's first tokens; "
      "the stronger the colour, the further, on a logarithmic scale. A model in rotated coordinates reads as far "
      "though "
      "it says the same.",
      [&](const ChartFrame& frame) {
        map.frame = frame;
        return heat_map_svg(map);
      },
      behind);
}

void add_tensor_maps(Page& page, const Study& study, const std::string& prefix) {
  const std::vector<const ModelRecord*> models = shown_inside(study);
  for (std::size_t i = 0; i < models.size(); ++i) {
    const ModelRecord& m = *models[i];
    std::vector<std::string> roles;
    dim layers = 0;
    for (const TensorError& t : m.tensors) {
      layers = std::max(layers, t.layer + 1);
      if (t.layer >= 0 && std::find(roles.begin(), roles.end(), t.role) == roles.end()) roles.push_back(t.role);
    }
    if (roles.empty()) continue;
    HeatMap map;
    map.rows = roles;
    map.values.assign(roles.size(), std::vector<double>(std::size_t(layers), NAN));
    for (dim l = 0; l < layers; ++l) map.cols.push_back(fmt::to_string(l));
    for (const TensorError& t : m.tensors)
      if (t.layer >= 0)
        map.values[std::size_t(std::find(roles.begin(), roles.end(), t.role) - roles.begin())][std::size_t(t.layer)] =
            t.relative;
    map.x_title = "block";
    map.text = percent;
    if (models.size() > 1) page.begin_fold("Errors of the weights: " + m.name);
    page.figure(fmt::format("{}tensors{}", prefix, i), "Errors of the weights of " + m.name,
                "|w - w'| / |w| of each matrix, of " + m.name + ".",
                [&](const ChartFrame& frame) {
                  map.frame = frame;
                  return heat_map_svg(map);
                },
                {});
    if (models.size() > 1) page.end_fold();
  }
}

void add_position_chart(Page& page, const Study& study, const std::string& prefix) {
  const Table behind = positions_table(study);
  if (behind.rows.empty()) return;
  const std::vector<PositionScore> places = stretches_of(reference_of(study));
  Lines chart;
  for (const ModelRecord* m : best_by_place(study)) {
    Series line{m->name, {}, chart.series.size()};
    const std::vector<PositionScore> own = stretches_of(*m);
    for (std::size_t k = 0; k < places.size(); ++k)
      line.values.push_back(
          {double(own[k].from) + double(own[k].span) / 2, study.base ? own[k].nll - places[k].nll : own[k].nll});
    chart.series.push_back(std::move(line));
  }
  chart.x.title = "place in the window, tokens";
  chart.y.title = study.base ? "nats per token above the original" : "nats per token";
  page.figure(
      prefix + "positions", study.base ? "Loss added, by place in the window" : "Loss by place in the window",
      study.base
          ? "What each model loses to the original, by how many tokens it has read. A line that climbs loses its "
            "thread in long texts."
          : "Less is better; more context usually helps.",
      [&](const ChartFrame& frame) {
        chart.frame = frame;
        chart.frame.height = frame.narrow() ? 280 : 330;
        return lines_svg(chart);
      },
      behind);
}

void add_histograms(Page& page, const Study& study, const std::string& prefix) {
  Histograms weights, activations;
  std::vector<const ModelRecord*> models = shown_inside(study);
  if (study.base) models.insert(models.begin(), &*study.base);
  for (const ModelRecord* m : models) {
    if (!m->layers) continue;
    const auto add = [&](Histograms& to, const Histogram& h) {
      if (!h.shares.empty()) to.all.push_back({m->name, h.low, h.high, h.shares});
    };
    add(weights, m->layers->weights);
    add(activations, m->layers->activations);
  }
  weights.log = activations.log = true;
  weights.x_title = "weight over the root mean square of its matrix";
  activations.x_title = "log10 of |activation| over the root mean square of its layer";
  const auto show = [&](Histograms& chart, const char* id, const char* title, const char* caption) {
    if (chart.all.empty()) return;
    page.figure(prefix + id, title, caption,
                [&](const ChartFrame& frame) {
                  chart.frame = frame;
                  return histograms_svg(chart);
                },
                {});
  };
  show(weights, "weights", "Distribution of the weights",
       "Of the linear layers, heights on a logarithmic scale of five decades. A spike at zero is what was rounded or "
       "pruned away; the ends hold what lies beyond them.");
  show(activations, "activations", "Distribution of the activations",
       "Of the hidden states after all blocks, the same scale: the tail on the right are the outliers that make "
       "rounding "
       "activations hard.");
}

}  // namespace pith::report
