#include <algorithm>
#include <cstring>

#include "core/buffer.h"
#include "core/error.h"
#include "core/parallel.h"
#include "eval/kept_base.h"
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
            const EvalOptions& options, KeptBase& kept)
      : set_(set),
        targets_(scored_targets(set)),
        vocab_(model.config().vocab),
        base_vocab_(base.config().vocab),
        rows_(targets_.size()),
        model_(model, set, steps, options.kv, plan_of(options), options.fast),
        kept_(kept) {
    check_targets(targets_, std::min(vocab_, base_vocab_));
    if (kept.complete())
      base_totals_ = kept.totals();
    else
      base_.emplace(base, set, steps);
  }

  void run(const WindowStep& step, std::size_t index) {
    const float* base_logits = base_ ? run_base(step) : kept_.logits(index);
    const Stopwatch watch;
    model_.run(step, [&](dim first_row, const float* logits, dim rows) {
      parallel_for(rows, [&](dim r) {
        const dim at = first_row + r;
        const RowPair pair{logits + r * vocab_, vocab_, base_logits + (at - step.first_row) * base_vocab_, base_vocab_};
        rows_.set(std::size_t(at), compare_rows(pair, targets_[std::size_t(at)]));
      });
    });
    totals_.seconds += watch.seconds();
    totals_.tokens += step.tokens;
    if (kept_.wants()) kept_.add(std::move(held_));
    const auto begin = rows_.finite.begin() + step.first_row, end = begin + step.rows;
    const auto bad = std::find(begin, end, 0);
    if (bad != end) throw_not_finite(set_, dim(bad - rows_.finite.begin()), "the model or its base");
  }
  void finish() {
    if (base_) kept_.finish(base_totals_);
  }

  Rows& rows() { return rows_; }
  const RunTotals& totals() const { return totals_; }
  const RunTotals& base_totals() const { return base_totals_; }

 private:
  const float* run_base(const WindowStep& step) {
    held_.reserve(step.rows * base_vocab_ * dim(sizeof(float)));
    float* held = held_.as<float>();
    const Stopwatch watch;
    base_->run(step, [&](dim first_row, const float* logits, dim rows) {
      std::memcpy(held + (first_row - step.first_row) * base_vocab_, logits,
                  std::size_t(rows * base_vocab_) * sizeof(float));
    });
    base_totals_.seconds += watch.seconds();
    base_totals_.tokens += step.tokens;
    return held;
  }

  const WindowSet& set_;
  std::vector<Token> targets_;
  dim vocab_, base_vocab_;
  Rows rows_;
  Buffer held_;
  WindowRunner model_;
  KeptBase& kept_;
  std::optional<WindowRunner> base_;  // where its logits are not there already
  RunTotals totals_, base_totals_;
};

}  // namespace

Comparison compare(const Model& model, const Model& base, std::string_view text, const EvalOptions& options,
                   Progress& progress, KeptBase* kept) {
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
  KeptBase none(0);
  KeptBase& logits = kept ? *kept : none;
  logits.begin(base, set, steps);
  PairedRun run(model, base, set, steps, options, logits);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    run.run(steps[i], i);
    progress.advance(windows_ended_by(steps[i], set));
  }
  run.finish();
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
