#include "compress/reconstruct/learn_rounding.h"

#include <algorithm>
#include <list>

#include "compress/reconstruct/block_trainer.h"
#include "core/error.h"

namespace pith {

namespace {

constexpr dim kChecks = 5;  // of the loss that decides what is best, while it learns

class Learner {
 public:
  Learner(BlockTask& task, const LearningPlan& plan)
      : task_(task), plan_(plan), trainer_(task, plan.batch, mean_square_loss) {}

  void run() {
    first_ = best_ = trainer_.check();  // as it was rounded
    for (BlockMatrix& m : task_.matrices) take(m);
    if (matrices_.empty()) return say();
    const bool moved = plan_.parts.start != 1;
    if (moved) keep_if_best();
    for (dim i = 0; i < plan_.iterations; ++i) {
      const double loss = trainer_.step(i, wanted_);
      if (!std::isfinite(loss)) break;  // what was best stays
      for (TrainedMatrix& m : matrices_) plan_.step(m, i);
      if ((i + 1) * kChecks / plan_.iterations > i * kChecks / plan_.iterations) keep_if_best();
      if (task_.progress) task_.progress->advance(0, doing_);
    }
    say();
  }

 private:
  void take(BlockMatrix& m) {
    const auto grid = level_grid(*m.format, m.cols);
    Gradient* gradient = find_gradient(wanted_, m.role);
    Linear* linear = find_linear(*task_.block, m.role);
    if (!grid || !gradient || !linear) {
      left_.push_back(std::string(role_name(m.role)));
      return;
    }
    TrainedMatrix& trained = matrices_.emplace_back(m, *grid, plan_.parts);
    linear->weight = &trained.weight();
    gradient->weight = trained.gradient();
  }

  void keep_if_best() {
    const double loss = trainer_.check();
    if (!(loss < best_)) return;
    best_ = loss;
    for (TrainedMatrix& m : matrices_) m.encode();
  }

  void say() {
    task_.note = fmt::format("block error {:.4g}, rounded alone {:.4g}", best_, first_);
    for (const std::string& role : left_) task_.note += fmt::format("; {} keeps its codes: no even grid", role);
  }

  BlockTask& task_;
  const LearningPlan& plan_;
  BlockTrainer trainer_;
  std::list<TrainedMatrix> matrices_;
  BlockGradients wanted_;
  std::vector<std::string> left_;
  double first_ = 0, best_ = 0;
  std::string doing_ = fmt::format("reconstructing block {}", task_.layer);
};

}  // namespace

void learn_rounding(BlockTask& task, const LearningPlan& plan) { Learner(task, plan).run(); }

}  // namespace pith
