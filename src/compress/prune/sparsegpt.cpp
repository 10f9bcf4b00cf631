// SparseGPT: values go column by column, cheapest first by what dropping costs, and later columns make up for them.
#include "compress/prune/sparse_feedback.h"
#include "compress/quantize/feedback_options.h"
#include "core/error.h"

namespace pith {

namespace {

std::unique_ptr<LayerState> prepare(const InputStats& stats, const Format&, const Options& options) {
  PITH_CHECK(stats.moment);
  return make_feedback(*stats.moment, {.damping = options.number("damping"), .act_order = false});
}

std::unique_ptr<LayerState> prune(const ScaledMatrix& m, const Options& options) {
  const Pruning pruning = pruning_of(options);
  if (!m.shared) {  // no input came by
    const auto kept = select_values(m, pruning, [&](dim, const float* w, float* scores) {
      for (dim c = 0; c < m.cols; ++c) scores[c] = w[c] * w[c];
    });
    return encode_pruned(m, kept, m.load);
  }
  const auto& feedback = static_cast<const Feedback&>(*m.shared);
  auto out = std::make_unique<PrunedMatrix>();
  out->cols = m.cols;
  out->note = feedback.note;
  if (m.format->joint == 1) {
    SparseFeedbackResult pruned = prune_with_feedback(m, feedback, pruning);
    out->rows = std::move(pruned.rows);
    polish_rows(m, feedback, pruned.kept, int(options.number("polish")), *out);
    return out;
  }
  // Codes that stand for several values: they are rounded afterwards.
  ScaledMatrix plain = m;
  plain.format = &f32_format();
  const SparseFeedbackResult pruned = prune_with_feedback(plain, feedback, pruning);
  return encode_pruned(m, pruned.kept, [&](dim row, float* to) {
    f32_format().decode(f32_format(), pruned.rows.data() + row * m.cols * 4, m.cols, to);
  });
}

}  // namespace

extern const Method sparsegpt_method;
const Method sparsegpt_method{
    .name = "sparsegpt",
    .family = "pruning",
    .summary = "drops values column by column, later ones making up for them, and rounds in the same pass",
    .paper = "SparseGPT (arXiv:2301.00774)",
    .options = {sparsity_option(), pattern_option(), scope_option("matrix"), damping_option(), polish_option()},
    .needs = Needs::moments,
    .prepare = prepare,
    .prepare_matrix = prune,
    .kept = kept_values,
    .layer = write_pruned,
};

}  // namespace pith
