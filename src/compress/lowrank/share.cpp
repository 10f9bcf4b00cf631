// Neighbouring blocks share matrices: one for all of a group, plus a difference of low rank for each block. Sharing
// between neighbours is MobileLLM's (arXiv:2402.14905); a low-rank difference for each, Relaxed Recursive
// Transformers' (arXiv:2410.20672).
#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <mutex>

#include "compress/calibrate/calibrator.h"
#include "compress/lowrank/factorize.h"
#include "compress/lowrank/factorizer.h"
#include "compress/lowrank/share_groups.h"
#include "core/error.h"
#include "core/parallel.h"
#include "formats/format.h"
#include "math/matrix_product.h"
#include "model/shared.h"
#include "model/surgery/values.h"

namespace pith {

namespace {

using Values = std::vector<float>;

// The same matrix in all blocks of a group.
struct Job {
  SharedMatrix matrix;
  std::vector<SecondMoment> moments;  // of each block's inputs, as they come
  Values shared;                      // (rows, cols)
};

// The mean of x^T x, with a little more on its diagonal: what no input has said stays as it is.
std::vector<double> damped_mean(const SecondMoment& moment) {
  constexpr double kDamping = 1e-4;
  const std::size_t n = std::size_t(moment.size());
  std::vector<double> h(n * n);
  moment.copy_to(h.data());
  double mean = 0;
  for (double& v : h) v /= double(std::max<dim>(1, moment.rows()));
  for (std::size_t i = 0; i < n; ++i) mean += h[i * n + i] / double(n);
  for (std::size_t i = 0; i < n; ++i) h[i * n + i] += mean > 0 ? kDamping * mean : 1;
  return h;
}

std::vector<double> times(const std::vector<double>& e, const std::vector<double>& h, dim rows, dim cols) {
  std::vector<double> out(e.size());
  matrix_product(e.data(), Turned::no, h.data(), Turned::no, rows, cols, cols, out.data());
  return out;
}

class Sharing {
 public:
  Sharing(const ReshapeTask& task, const Options& options)
      : task_(task),
        model_(task.model),
        mean_(options.text("base") == "mean"),
        rank_(dim(options.number("rank"))),
        options_(options) {
    const Selection where = parse_selection(options.text("where"));
    for (const std::vector<dim>& group : choose_groups(task, options))
      for (const std::vector<std::size_t>& tensors : matrices_of(model_, where, group)) {
        Job& job = jobs_.emplace_back();
        job.matrix.tensors = tensors;
        job.matrix.differences.resize(tensors.size());
        job.shared = mean_ ? mean_of(model_, tensors) : decoded(tensor(tensors[0]));
      }
    for (Job& job : jobs_)
      for (std::size_t k = 0; k < job.matrix.tensors.size(); ++k)
        of_layer_[tensor(job.matrix.tensors[k]).layer].emplace_back(&job, k);
  }

  Model run() {
    const bool follow = options_.text("prefix") == "compressed";
    task_.progress.begin("share", dim(jobs_.size()) * (mean_ && follow && rank_ > 0 ? 2 : 1));
    if (mean_ || (rank_ > 0 && !follow)) {
      walk(false, [&](Job& job, std::size_t k, const InputStats* stats, Calibrator&) {
        job.moments.push_back(stats->moment->copy());
        if (k + 1 == job.matrix.tensors.size()) settle(job);
      });
    }
    if (rank_ > 0 && follow)
      walk(true, [&](Job& job, std::size_t k, const InputStats* stats, Calibrator& calibrator) {
        const LowRank found = difference(job, k, *stats->moment, rank_);
        keep(job, k, found);
        show(job, k, found, calibrator);
      });
    std::vector<SharedMatrix> matrices;
    for (Job& job : jobs_) {
      if (mean_) job.matrix.values = keep_values(*scratch_, job.shared);
      matrices.push_back(std::move(job.matrix));
    }
    return shared_model(model_, std::move(matrices), scratch_);
  }

 private:
  const ModelTensor& tensor(std::size_t i) const { return model_.tensors()[i]; }

  // each(job, which of its blocks, stats, calibrator), block after block, those of a block at the same time.
  template <class Each>
  void walk(bool follow, const Each& each) {
    Calibrator calibrator(model_, task_.tokens(), {.with_moments = true, .compressed_prefix = follow});
    for (dim layer = 0; layer <= of_layer_.rbegin()->first; ++layer) {
      calibrator.gather(layer, task_.progress);
      auto& jobs = of_layer_[layer];
      parallel_for(dim(jobs.size()), [&](dim i) {
        auto& [job, k] = jobs[std::size_t(i)];
        const InputStats* stats = calibrator.find(tensor(job->matrix.tensors[k]));
        PITH_CHECK(stats && stats->moment);
        each(*job, k, stats, calibrator);
      });
      for (const auto& [job, k] : jobs)
        if (k + 1 == job->matrix.tensors.size()) task_.progress.advance(1, tensor(job->matrix.tensors[k]).name);
      calibrator.advance(layer, task_.progress);
    }
  }

  // What the block's matrix is beside the shared one.
  LowRank difference(const Job& job, std::size_t k, const SecondMoment& moment, dim rank) const {
    const ModelTensor& t = tensor(job.matrix.tensors[k]);
    Values e = decoded(t);
    for (std::size_t i = 0; i < e.size(); ++i) e[i] -= job.shared[i];
    const dim rows = t.weight.rows, cols = t.weight.cols;
    const dim most = std::min({rank, rows, cols});
    return WeightedSvd(e.data(), rows, cols, {.rows = {}, .cols = {}, .moment = &moment, .mean = {}, .damping = 1e-6},
                       most)
        .factors(most);
  }

  void keep(Job& job, std::size_t k, const LowRank& found) {
    if (!mean_ && k == 0) return;  // it is the shared one
    for (const Values* values : {&found.a, &found.b})
      if (!std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); }))
        throw input_error(tensor(job.matrix.tensors[k]).name, "expected finite differences, got others");
    const std::lock_guard lock(mutex_);
    job.matrix.differences[k] = {found.rank, keep_values(*scratch_, found.a), keep_values(*scratch_, found.b)};
  }

  // So that later blocks see what the shared matrix and the difference give.
  void show(const Job& job, std::size_t k, const LowRank& found, Calibrator& calibrator) {
    const std::size_t source = job.matrix.tensors[k];
    const ModelTensor& t = tensor(source);
    Values whole = job.shared;
    if (!(!mean_ && k == 0)) {
      const Encoded product = product_of(found, 0, t.weight.rows);
      for (std::size_t i = 0; i < whole.size(); ++i) whole[i] += product.owned.as<float>()[i];
    }
    const ExportTensor out{.source = source, .format = &f32_format(), .rows_from = {}, .slots = {}};
    const std::lock_guard lock(mutex_);
    calibrator.take(out, 0, std::as_bytes(std::span(whole)));
  }

  // The shared matrix that loses least, with the differences that are best beside it, in turn.
  void settle(Job& job) {
    std::vector<LowRank> found(job.matrix.tensors.size());
    const int rounds = mean_ ? (rank_ > 0 ? int(options_.number("rounds")) : 1) : 0;
    const auto fit = [&] {
      for (std::size_t k = 0; k < found.size() && rank_ > 0; ++k) found[k] = difference(job, k, job.moments[k], rank_);
    };
    for (int round = 0; round < rounds; ++round) {
      if (round > 0) fit();
      move_shared(job, found);
    }
    if (rank_ > 0 && options_.text("prefix") == "original") {
      fit();
      for (std::size_t k = 0; k < found.size(); ++k) keep(job, k, found[k]);
    }
    job.moments.clear();
  }

  // By the step that makes sum_k w_k tr(E_k H_k E_k^T) least, E_k what block k's matrix has beside the shared one and
  // its difference, w_k the inverse of what its outputs are: blocks count alike.
  void move_shared(Job& job, const std::vector<LowRank>& found) const {
    const ModelTensor& first = tensor(job.matrix.tensors[0]);
    const dim rows = first.weight.rows, cols = first.weight.cols;
    std::vector<double> all(std::size_t(cols * cols)), step(std::size_t(rows * cols));
    for (std::size_t k = 0; k < found.size(); ++k) add_block(job, k, found[k], all, step);
    if (!solve_positive(all.data(), cols, step.data(), rows))
      throw input_error(first.name, "expected finite activations on the calibration text");
    for (std::size_t i = 0; i < step.size(); ++i) job.shared[i] += float(step[i]);
  }

  // Adds w_k H_k to `all`, and w_k E_k H_k to `step`.
  void add_block(const Job& job, std::size_t k, const LowRank& found, std::vector<double>& all,
                 std::vector<double>& step) const {
    const ModelTensor& t = tensor(job.matrix.tensors[k]);
    const dim rows = t.weight.rows, cols = t.weight.cols;
    const Values values = decoded(t);
    const std::vector<double> w(values.begin(), values.end()), h = damped_mean(job.moments[k]);
    const std::vector<double> outputs = times(w, h, rows, cols);
    double energy = 0;
    for (std::size_t i = 0; i < w.size(); ++i) energy += w[i] * outputs[i];
    const double weight = energy > 0 ? 1 / energy : 1;
    std::vector<double> e = w;
    for (std::size_t i = 0; i < e.size(); ++i) e[i] -= double(job.shared[i]);
    if (found.rank > 0) {
      const Encoded product = product_of(found, 0, rows);
      for (std::size_t i = 0; i < e.size(); ++i) e[i] -= double(product.owned.as<float>()[i]);
    }
    const std::vector<double> eh = times(e, h, rows, cols);
    for (std::size_t i = 0; i < eh.size(); ++i) step[i] += weight * eh[i];
    for (std::size_t i = 0; i < h.size(); ++i) all[i] += weight * h[i];
  }

  const ReshapeTask& task_;
  const Model& model_;
  const bool mean_;  // the shared matrix is fitted to all blocks of its group; else it is the first one's
  const dim rank_;
  const Options& options_;
  std::deque<Job> jobs_;
  std::map<dim, std::vector<std::pair<Job*, std::size_t>>> of_layer_;
  std::shared_ptr<Scratch> scratch_ = std::make_shared<Scratch>();
  std::mutex mutex_;
};

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> out = group_options();
  out.push_back({.name = "rank",
                 .default_value = "32",
                 .help = "of each block's own difference from the shared matrix; 0: none, they share it outright",
                 .choices = {},
                 .low = 0,
                 .high = 65536});
  out.push_back({.name = "base",
                 .default_value = "mean",
                 .help = "what is shared: the matrix that all blocks of the group together lose least by, or the first "
                         "block's",
                 .choices = {"mean", "first"}});
  out.push_back({.name = "rounds",
                 .default_value = "3",
                 .help = "of fitting the shared matrix and the differences in turn",
                 .choices = {},
                 .low = 1,
                 .high = 100});
  for (OptionSpec& o : factorize_options(false))
    if (o.name == "where" || o.name == "prefix") out.push_back(std::move(o));
  return out;
}

}  // namespace

extern const Method share_method;
const Method share_method{
    .name = "share",
    .family = "low rank",
    .summary = "neighbouring blocks share their matrices; each block keeps a difference of low rank of its own",
    .paper = "MobileLLM (arXiv:2402.14905), Relaxed Recursive Transformers (arXiv:2410.20672)",
    .options = options(),
    .needs = Needs::text,
    .reshape = [](const ReshapeTask& task, const Options& options) { return Sharing(task, options).run(); },
    .ours_alone = [](const Options&) { return true; },
};

}  // namespace pith
