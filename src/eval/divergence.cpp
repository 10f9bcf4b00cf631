#include <algorithm>
#include <cstring>

#include "core/buffer.h"
#include "core/error.h"
#include "core/parallel.h"
#include "eval/perplexity.h"
#include "eval/scored_run.h"
#include "ops/scoring.h"

namespace pith {
namespace {

constexpr dim kHeldLogitsBytes = dim(128) << 20;  // the base model's logits of one step

void check_same_tokens(const WindowSet& a, const WindowSet& b) {
  for (std::size_t w = 0; w < std::min(a.windows.size(), b.windows.size()); ++w)
    if (a.windows[w].tokens != b.windows[w].tokens)
      throw input_error("comparison", "expected equal tokenizers, but the tokens of window {} differ", w);
  if (a.windows.size() != b.windows.size() || a.tokens_dropped != b.tokens_dropped)
    throw input_error("comparison", "expected equal tokenizers, but the text has {} and {} windows", a.windows.size(),
                      b.windows.size());
}

// Everything kept per scored row.
struct Rows {
  std::vector<double> nll, base_nll, kl, delta_p_squared, same_top, top5, top10;
  std::vector<char> finite;
  explicit Rows(std::size_t n)
      : nll(n), base_nll(n), kl(n), delta_p_squared(n), same_top(n), top5(n), top10(n), finite(n, 1) {}
  void set(std::size_t at, const RowDivergence& row) {
    nll[at] = row.nll;
    base_nll[at] = row.base_nll;
    kl[at] = row.kl;
    delta_p_squared[at] = row.delta_p * row.delta_p;
    same_top[at] = row.same_top ? 1 : 0;
    top5[at] = row.top5;
    top10[at] = row.top10;
    finite[at] = row.finite;
  }
};

Divergence divergence_of(Rows& rows, std::span<const dim> sizes) {
  Divergence result;
  result.kl = cluster_mean(rows.kl, sizes);
  result.top1_agreement = cluster_mean(rows.same_top, sizes);
  result.top5_overlap = cluster_mean(rows.top5, sizes);
  result.top10_overlap = cluster_mean(rows.top10, sizes);
  result.rms_delta_p = sqrt_of(cluster_mean(rows.delta_p_squared, sizes));
  std::vector<double> ratio(rows.nll.size());
  for (std::size_t i = 0; i < ratio.size(); ++i) ratio[i] = rows.nll[i] - rows.base_nll[i];
  result.log_ppl_ratio = cluster_mean(ratio, sizes);
  result.kl_by_window = window_sums(rows.kl, sizes);
  std::sort(rows.kl.begin(), rows.kl.end());
  result.kl_median = quantile_of_sorted(rows.kl, 0.5);
  result.kl_p90 = quantile_of_sorted(rows.kl, 0.9);
  result.kl_p95 = quantile_of_sorted(rows.kl, 0.95);
  result.kl_p99 = quantile_of_sorted(rows.kl, 0.99);
  result.kl_p999 = quantile_of_sorted(rows.kl, 0.999);
  result.kl_max = rows.kl.back();
  return result;
}

// One step through both models: the base's logits are held while the model's stream past them.
class PairedRun {
 public:
  PairedRun(const Model& model, const Model& base, const WindowSet& set, std::span<const WindowStep> steps,
            const EvalOptions& options)
      : set_(set),
        targets_(scored_targets(set)),
        vocab_(model.config().vocab),
        base_vocab_(base.config().vocab),
        rows_(targets_.size()),
        model_(model, set, steps, options.kv, plan_of(options), options.fast),
        base_(base, set, steps) {
    check_targets(targets_, std::min(vocab_, base_vocab_));
    dim most = 0;
    for (const WindowStep& step : steps) most = std::max(most, step.rows);
    held_.reserve(most * base_vocab_ * dim(sizeof(float)));
  }

  void run(const WindowStep& step) {
    const Stopwatch base_watch;
    base_.run(step, [&](dim first_row, const float* logits, dim rows) {
      std::memcpy(held(step, first_row), logits, std::size_t(rows * base_vocab_) * sizeof(float));
    });
    base_totals_.seconds += base_watch.seconds();
    base_totals_.tokens += step.tokens;

    const Stopwatch watch;
    model_.run(step, [&](dim first_row, const float* logits, dim rows) {
      parallel_for(rows, [&](dim r) {
        const dim at = first_row + r;
        const RowPair pair{logits + r * vocab_, vocab_, held(step, at), base_vocab_};
        rows_.set(std::size_t(at), compare_rows(pair, targets_[std::size_t(at)]));
      });
    });
    totals_.seconds += watch.seconds();
    totals_.tokens += step.tokens;
    const auto begin = rows_.finite.begin() + step.first_row, end = begin + step.rows;
    const auto bad = std::find(begin, end, 0);
    if (bad != end) throw_not_finite(set_, dim(bad - rows_.finite.begin()), "the model or its base");
  }

  Rows& rows() { return rows_; }
  const RunTotals& totals() const { return totals_; }
  const RunTotals& base_totals() const { return base_totals_; }

 private:
  float* held(const WindowStep& step, dim row) { return held_.as<float>() + (row - step.first_row) * base_vocab_; }

  const WindowSet& set_;
  std::vector<Token> targets_;
  dim vocab_, base_vocab_;
  Rows rows_;
  Buffer held_;
  WindowRunner model_, base_;
  RunTotals totals_, base_totals_;
};

}  // namespace

Comparison compare(const Model& model, const Model& base, std::string_view text, const EvalOptions& options,
                   Progress& progress) {
  const Protocol& protocol = protocol_or_throw(options.protocol);
  dim context = base.config().context;
  if (model.config().context > 0 && (context <= 0 || model.config().context < context))
    context = model.config().context;
  const WindowSet set = make_windows(protocol, base.tokenizer(), text, context, options.windows());
  if (&model != &base)
    check_same_tokens(set, make_windows(protocol, model.tokenizer(), text, context, options.windows()));

  const auto steps = plan_steps(set, options.batch_tokens,
                                kHeldLogitsBytes / (std::max<dim>(base.config().vocab, 1) * dim(sizeof(float))));
  progress.begin("divergence", dim(set.windows.size()));
  PairedRun run(model, base, set, steps, options);
  for (const WindowStep& step : steps) {
    run.run(step);
    progress.advance(windows_ended_by(step, set));
  }
  progress.end();

  Comparison result;
  result.model = result_of(text, set, run.rows().nll, run.totals());
  note_codecs(result.model, model, options.kv, options.activations);
  EvalResult base_result = result_of(text, set, run.rows().base_nll, run.base_totals());
  note_codecs(base_result, base, {}, {});
  result.divergence = divergence_of(run.rows(), scored_sizes(set));
  result.divergence.base = base_result;
  return result;
}

}  // namespace pith
