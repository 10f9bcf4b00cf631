#include "eval/perplexity.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/parallel.h"
#include "eval/scored_run.h"
#include "ops/scoring.h"

namespace pith {

EvalResult evaluate(const Model& model, std::string_view text, const EvalOptions& options, Progress& progress) {
  const Protocol& protocol = protocol_or_throw(options.protocol);
  const WindowSet set = make_windows(protocol, model.tokenizer(), text, model.config().context, options.windows());
  const std::vector<Token> targets = scored_targets(set);
  const dim vocab = model.config().vocab;
  check_targets(targets, vocab);

  const auto steps = plan_steps(set, options.batch_tokens, std::numeric_limits<dim>::max() / 2);
  std::vector<double> nll(targets.size());
  std::vector<char> finite(targets.size(), 1);
  progress.begin("perplexity", dim(set.windows.size()));
  RunTotals totals;
  const Stopwatch watch;
  WindowRunner runner(model, set, steps, options.kv, plan_of(options), options.fast);
  for (const WindowStep& step : steps) {
    runner.run(step, [&](dim first_row, const float* logits, dim rows) {
      parallel_for(rows, [&](dim r) {
        const auto at = std::size_t(first_row + r);
        const RowScore score = score_row(logits + r * vocab, vocab, targets[at]);
        nll[at] = score.nll;
        finite[at] = score.finite;
      });
    });
    const auto begin = finite.begin() + step.first_row, end = begin + step.rows;
    const auto bad = std::find(begin, end, 0);
    if (bad != end) throw_not_finite(set, dim(bad - finite.begin()), "the model");
    totals.tokens += step.tokens;
    progress.advance(windows_ended_by(step, set));
  }
  totals.seconds = watch.seconds();
  progress.end();
  EvalResult result = result_of(text, set, nll, totals);
  note_codecs(result, model, options.kv, options.activations);
  return result;
}

}  // namespace pith
