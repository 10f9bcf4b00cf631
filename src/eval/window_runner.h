// Runs windows of tokens through a model in steps of bounded size.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "eval/protocols.h"
#include "model/fast_network.h"

namespace pith {

// Inputs [begin, end) of one window. The last token of a window is only ever a target, never an input.
struct WindowPart {
  dim window = 0, begin = 0, end = 0;
};
// One call of the forward pass: several whole windows, or a part of a single one.
struct WindowStep {
  std::vector<WindowPart> parts;
  dim first_row = 0;  // scored predictions are numbered over all windows, in order
  dim rows = 0;
  dim tokens = 0;
};
// At most max_tokens inputs and max_rows scored rows a step (at least one of each).
std::vector<WindowStep> plan_steps(const WindowSet& set, dim max_tokens, dim max_rows);

// The tokens that the scored rows should predict, in order; and the scored rows of each window.
std::vector<Token> scored_targets(const WindowSet& set);
std::vector<dim> scored_sizes(const WindowSet& set);

struct RowPlace {
  dim window = 0, position = 0;  // of the input whose logits these are
};
RowPlace place_of_row(const WindowSet& set, dim row);

dim windows_ended_by(const WindowStep& step, const WindowSet& set);

// Steps must be run in the order of the plan: a window cut into parts goes on in the cache.
class WindowRunner {
 public:
  // act: how the linear layers round their inputs; null: as the model says. fast: products as FastNetwork makes them.
  WindowRunner(const Model& model, const WindowSet& set, std::span<const WindowStep> steps,
               const std::optional<KvSpec>& kv = {}, const ActPlan* act = nullptr, bool fast = false);
  // sink(first_row, logits (rows, vocab), rows) as Forward::run, with first_row over all windows.
  void run(const WindowStep& step, const Forward::LogitsSink& sink);

 private:
  const WindowSet& set_;
  FastNetwork network_;
  Forward forward_;
  KvCache cache_;
};

}  // namespace pith
