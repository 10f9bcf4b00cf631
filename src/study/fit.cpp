#include "study/fit.h"

#include <algorithm>
#include <cmath>

#include "compress/allocate/allocate.h"
#include "compress/fingerprint.h"
#include "compress/prepare.h"
#include "core/byte_size.h"
#include "core/error.h"
#include "core/stopwatch.h"
#include "model/forward.h"
#include "study/fit_journal.h"
#include "study/origin.h"

namespace pith {

namespace {

std::string megabytes(dim bytes) { return fmt::format("{:.1f} MB", double(bytes) / 1e6); }

// All that the measurements depend on beside the recipe.
std::string stamp_of(const Model& source, const FitOptions& o, const Measurer& measurer) {
  const MeasureOptions& m = o.measure;
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {}", PITH_VERSION, source.source_stamp(),
                     container_name(o.container), sha256_of_files(o.calibration.files), o.calibration.samples,
                     o.calibration.length, o.calibration.seed, measurer.text_hash(), m.eval.protocol,
                     m.eval.max_windows, m.eval.fast, m.speed.has_value());
}

class Fitter {
 public:
  Fitter(const std::string& source, const FitOptions& options, const std::filesystem::path& target,
         const std::function<void(const std::vector<FitPoint>&)>& seen, Progress& progress)
      : options_(options),
        goal_(options.goal),
        target_(target),
        seen_(seen),
        progress_(progress),
        source_(Model::open(source)),
        measurer_(options.measure, source),
        journal_(target, stamp_of(source_, options, measurer_), options.resume) {}

  FitResult run() {
    const Stopwatch watch;
    if (goal_.max_kl && !goal_.max_bytes && !goal_.max_ram)
      smallest_within_divergence();
    else if (goal_.max_bytes || goal_.max_ram)
      within_budgets();
    else
      fast_enough();
    const std::optional<std::size_t> best = best_point();
    if (!best) throw nothing_serves();
    write_winner(result_.points[*best]);
    result_.winner = *best;
    result_.seconds = watch.seconds();
    add_study();
    return std::move(result_);
  }

 private:
  bool at_least(FitEffort effort) const { return options_.effort >= effort; }

  // What a file of these linear layers' bits takes, about.
  dim bytes_at(double bits) const {
    double values = 0;
    for (const ModelTensor& t : source_.tensors()) values += double(t.weight.rows) * double(t.weight.cols);
    return dim(values * bits / 8);
  }

  dim kv_bytes(const KvSpec& kv) const { return KvCache::bytes(source_.config(), 1, options_.context, kv); }

  bool serves(const FitPoint& p) const {
    const dim kv = kv_bytes(p.recipe.recipe.kv.value_or(source_.run_time().kv));
    return (!goal_.max_bytes || p.bytes() <= *goal_.max_bytes) &&
           (!goal_.max_ram || p.bytes() + kv <= *goal_.max_ram) && (!goal_.max_kl || p.kl() <= *goal_.max_kl) &&
           (!goal_.min_tokens_per_second || p.record.speed->decode >= *goal_.min_tokens_per_second);
  }

  bool better(const FitPoint& a, const FitPoint& b) const {
    const auto key = [&](const FitPoint& p) {
      return goal_.max_kl ? std::pair(double(p.bytes()), p.kl()) : std::pair(p.kl(), double(p.bytes()));
    };
    return key(a) < key(b);
  }

  std::optional<std::size_t> best_point() const {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < result_.points.size(); ++i)
      if (result_.points[i].serves && (!best || better(result_.points[i], result_.points[*best]))) best = i;
    return best;
  }

  RecipeFile recipe_of(std::vector<Step> steps) const {
    RecipeFile file;
    file.container = std::string(container_name(options_.container));
    file.recipe.steps = std::move(steps);
    file.recipe.calibration = options_.calibration;
    return file;
  }

  // The formats for so many bytes, of those measured for the range that the search looks at.
  std::vector<Override> formats_within(dim bytes) {
    const std::string key = fmt::format("formats {} {} {}", lowest_, highest_, bytes);
    if (auto known = journal_.formats(key)) return *known;
    std::vector<Override> found = budget_->within(bytes, progress_).formats;
    journal_.keep_formats(key, found);
    return found;
  }

  // The range of bytes that the search looks at; what no formats reach is cut off.
  void look_between(dim lowest, dim highest) {
    base_recipe_ = recipe_of(steps_of("rtn", {})).recipe;
    budget_.emplace(source_, base_recipe_, options_.container, target_, lowest, highest);
    lowest_ = std::max(lowest, budget_->smallest_bytes());
    highest_ = std::max(lowest_, highest);
  }

  const FitPoint& at_bytes(const char* chain, dim bytes, const std::optional<KvSpec>& kv = {}) {
    RecipeFile file = recipe_of(steps_of(chain, {}));
    file.recipe.overrides = formats_within(bytes);
    file.recipe.kv = kv;
    return add(std::move(file), fmt::format("{} within {}{}", chain, megabytes(bytes), kv ? ", kv " + kv->text() : ""));
  }

  // Writes and measures a candidate, or reads what an earlier run measured.
  const FitPoint& add(RecipeFile file, std::string label) {
    const std::string yaml = recipe_yaml(file);
    FitPoint point{.label = std::move(label), .recipe = std::move(file), .record = {}};
    const auto path = journal_.model_path(yaml, is_folder(options_.container));
    if (auto known = journal_.record(yaml)) {
      point.record = std::move(*known);
    } else {
      const Outcome outcome = compress(source_, point.recipe.recipe, options_.container, path,
                                       {.max_ram_bytes = {}, .overwrite = true}, progress_);
      point.record = measurer_.measure(path.string(), progress_);
      add_origin(point.recipe, outcome, point.record);
      journal_.keep(yaml, point.record);
    }
    point.record.name = point.label;
    point.serves = serves(point);
    result_.points.push_back(std::move(point));
    keep_best_file();
    seen_(result_.points);
    return result_.points.back();
  }

  // Of the files of candidates only the best one's stays.
  void keep_best_file() const {
    const std::optional<std::size_t> best = best_point();
    for (std::size_t i = 0; i < result_.points.size(); ++i)
      if (i != best) std::filesystem::remove_all(path_of(result_.points[i]));
  }

  std::filesystem::path path_of(const FitPoint& p) const {
    return journal_.model_path(recipe_yaml(p.recipe), is_folder(options_.container));
  }

  void within_budgets() {
    const KvSpec own = source_.run_time().kv;
    const auto left = [&](const KvSpec& kv) {
      dim bytes = goal_.max_bytes.value_or(dim(1) << 60);
      if (goal_.max_ram) bytes = std::min(bytes, *goal_.max_ram - kv_bytes(kv));
      return bytes;
    };
    std::vector<std::pair<std::optional<KvSpec>, dim>> budgets;
    if (left(own) > 0) budgets.emplace_back(std::nullopt, left(own));
    if (goal_.max_ram)
      for (const char* codec : {"int8", "kivi"})
        if (left(KvSpec(codec)) > 0) budgets.emplace_back(KvSpec(codec), left(KvSpec(codec)));
    if (budgets.empty())
      throw Error(Blame::input, "max-ram",
                  fmt::format("expected room for weights beside the keys and values of {} tokens, which take {}",
                              options_.context, megabytes(kv_bytes(own))),
                  "a smaller --context");
    const dim full = source_.file_bytes();
    for (auto& [kv, bytes] : budgets) bytes = std::min(bytes, full);
    const dim first = budgets.front().second;
    dim most = 0;
    for (const auto& [kv, bytes] : budgets) most = std::max(most, bytes);
    look_between(at_least(FitEffort::normal) ? first * 78 / 100 : first, most);
    at_bytes("rtn", first, budgets.front().first);  // an answer soon
    for (const auto& [kv, bytes] : budgets) at_bytes("gptq", bytes, kv);
    slower_levels(first);
    if (!at_least(FitEffort::normal)) return;
    at_bytes("awq+gptq", first, budgets.front().first);
    for (const dim percent : {89, 79})
      if (first * percent / 100 >= lowest_) at_bytes("gptq", first * percent / 100, budgets.front().first);
    if (at_least(FitEffort::thorough)) at_bytes("gptq+autoround", first, budgets.front().first);
    try_structures(first);
  }

  // Where a file of the whole budget is too slow: smaller ones until one is not.
  void slower_levels(dim bytes) {
    if (!goal_.min_tokens_per_second) return;
    while (result_.points.back().record.speed->decode < *goal_.min_tokens_per_second && bytes * 85 / 100 >= lowest_) {
      bytes = bytes * 85 / 100;
      at_bytes("gptq", bytes);
    }
  }

  // A model with parts taken out is rounded only where what that alone loses is less than the best so far.
  void try_structures(dim bytes) {
    std::vector<std::vector<Step>> shapes = {steps_of("depth", {"layers=1"}), steps_of("flap", {"ratio=0.1"})};
    if (at_least(FitEffort::thorough) && options_.container == Container::pith)
      shapes.push_back(steps_of("svd_llm", {"ratio=0.1", "allocation=sensitivity"}));
    for (std::vector<Step>& steps : shapes) {
      const std::string name = steps[0].method;
      try {
        RecipeFile dense = recipe_of(steps);
        dense.recipe.format = &bf16_format();
        const double alone = add(std::move(dense), name + " alone").kl();
        const std::optional<std::size_t> best = best_point();
        if (best && alone >= result_.points[*best].kl()) {
          result_.notes.push_back(
              fmt::format("{}: not rounded, since it alone loses {:.4f}, more than the best so far", name, alone));
          continue;
        }
        steps.push_back(steps_of("gptq", {})[0]);
        RecipeFile rounded = recipe_of(std::move(steps));
        rounded.recipe.max_bytes = bytes;
        add(std::move(rounded), fmt::format("{}+gptq within {}", name, megabytes(bytes)));
      } catch (const Error& e) {  // not for this family
        if (e.blame() != Blame::input) throw;
        result_.notes.push_back(fmt::format("{}: left out ({})", name, e.what()));
      }
    }
  }

  void smallest_within_divergence() {
    look_between(bytes_at(2.8), std::min(bytes_at(9), source_.file_bytes()));
    double low = double(lowest_), high = double(highest_);
    const int steps = at_least(FitEffort::thorough) ? 7 : at_least(FitEffort::normal) ? 5 : 4;
    for (int step = 0; step < steps; ++step) {
      const double middle = step == 0 ? std::sqrt(low * double(std::max(lowest_, bytes_at(6)))) : std::sqrt(low * high);
      const FitPoint& p = at_bytes("gptq", dim(middle));
      (p.kl() <= *goal_.max_kl ? high : low) = middle;
    }
    if (!best_point()) at_bytes("gptq", highest_);
  }

  // The largest file that is fast enough.
  void fast_enough() {
    look_between(bytes_at(2.8), std::min(bytes_at(9), source_.file_bytes()));
    double low = double(lowest_), high = double(highest_);
    const int steps = at_least(FitEffort::normal) ? 5 : 3;
    for (int step = 0; step < steps; ++step) {
      const double middle = step == 0 ? high : std::sqrt(low * high);
      const bool fast = at_bytes("rtn", dim(middle)).record.speed->decode >= *goal_.min_tokens_per_second;
      if (step == 0 && fast) {
        low = high;
        break;
      }
      (fast ? low : high) = middle;
    }
    at_bytes("gptq", dim(low));
  }

  Error nothing_serves() const {
    const auto nearest = std::min_element(result_.points.begin(), result_.points.end(), [](auto& a, auto& b) {
      return std::pair(a.kl(), a.bytes()) < std::pair(b.kl(), b.bytes());
    });
    std::string came =
        fmt::format("{} ({}, divergence {:.4f}", nearest->label, megabytes(nearest->bytes()), nearest->kl());
    if (nearest->record.speed) came += fmt::format(", {:.1f} tokens/s", nearest->record.speed->decode);
    return Error(Blame::input, "fit",
                 fmt::format("expected a candidate that serves the goal, none of {} does; the best of them: {})",
                             result_.points.size(), came),
                 "ask for less, or for more effort");
  }

  void write_winner(const FitPoint& point) {
    const auto path = path_of(point);
    std::error_code fault;
    if (!std::filesystem::exists(path, fault))  // of an earlier run: only its measurements are here
      compress(source_, point.recipe.recipe, options_.container, path, {.max_ram_bytes = {}, .overwrite = true},
               progress_);
    if (options_.overwrite) std::filesystem::remove_all(target_);
    std::filesystem::rename(path, target_);
    journal_.remove_all();
    progress_.end();
  }

  void add_study() {
    result_.study = measurer_.empty_study();
    result_.study.title = "What fits";
    result_.study.conditions = measurer_.conditions(source_.path().string());
    result_.study.base = measurer_.base(progress_);
    for (const FitPoint& p : result_.points) result_.study.models.push_back(p.record);
  }

  const FitOptions& options_;
  const FitGoal& goal_;
  const std::filesystem::path target_;
  const std::function<void(const std::vector<FitPoint>&)>& seen_;
  Progress& progress_;
  const Model source_;
  const Measurer measurer_;
  const FitJournal journal_;
  dim lowest_ = 0, highest_ = 0;  // bytes that the search looks at
  Recipe base_recipe_;
  std::optional<FormatBudget> budget_;
  FitResult result_;
};

}  // namespace

std::vector<std::size_t> pareto_front(const std::vector<FitPoint>& points) {
  std::vector<std::size_t> order(points.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tuple(points[a].bytes(), points[a].kl(), a) < std::tuple(points[b].bytes(), points[b].kl(), b);
  });
  std::vector<std::size_t> front;
  for (const std::size_t i : order)
    if (front.empty() || points[i].kl() < points[front.back()].kl()) front.push_back(i);
  return front;
}

FitResult fit(const std::string& source, const FitOptions& options, const std::filesystem::path& target,
              const std::function<void(const std::vector<FitPoint>&)>& seen, Progress& progress) {
  const FitGoal& g = options.goal;
  if (!g.max_bytes && !g.max_ram && !g.min_tokens_per_second && !g.max_kl)
    throw Error(Blame::input, "fit", "expected a goal, got none",
                "--max-bytes, --max-ram, --min-tokens-per-s or --max-kld");
  if (options.measure.text_file.empty())
    throw Error(Blame::input, "fit", "expected a text to measure the divergence on, got none", "--text FILE");
  PITH_CHECK(!g.min_tokens_per_second || options.measure.speed);
  std::error_code fault;
  if (std::filesystem::exists(target, fault) && !options.overwrite)
    throw Error(Blame::input, target.string(), "expected no such file yet, there is one", "--overwrite replaces it");
  return Fitter(source, options, target, seen, progress).run();
}

}  // namespace pith
