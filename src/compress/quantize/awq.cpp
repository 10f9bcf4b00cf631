// AWQ: columns that large inputs meet are scaled up before rounding, and the input down, so that their weights lose
// less; then ranges are cut where that helps.
#include "compress/quantize/awq_clip.h"
#include "compress/quantize/awq_scale.h"
#include "compress/quantize/range_options.h"
#include "core/error.h"

namespace pith {

namespace {

std::vector<float> awq_scale(std::span<const ScaledMatrix> matrices, const Options& options) {
  return awq_search(matrices, range_search(options), dim(options.number("rows"))).factors;
}

std::unique_ptr<LayerState> awq_prepare(const InputStats& stats, const Format& format, const Options& options) {
  if (options.text("clip") != "true") return nullptr;
  return make_clip(stats, format);
}

// What errors of queries and keys cost is decided by the softmax, not by their own size.
bool makes_scores(Role role) { return role == Role::attn_q || role == Role::attn_k || role == Role::attn_qkv; }

void awq_layer(const LayerTask& task, const Options& options) {
  PITH_CHECK(task.source && task.format && task.out && fits(*task.format, task.cols));
  if (!task.state || makes_scores(task.role)) return round_to_nearest(task, range_search(options));
  round_with_clip(static_cast<const ClipState&>(*task.state), task, range_search(options));
}

}  // namespace

extern const Method awq_method;
const Method awq_method{
    .name = "awq",
    .family = "quantization",
    .summary = "scales up the columns that large inputs meet, and their inputs down, before rounding; cuts ranges",
    .paper = "AWQ (arXiv:2306.00978)",
    .options =
        {
            range_option(),
            range_power_option(),
            range_steps_option(),
            {.name = "clip",
             .default_value = "true",
             .help = "cut a block's range where its part of the output gains by it; not for queries and keys",
             .choices = {"true", "false"}},
            {.name = "rows",
             .default_value = "128",
             .help = "of each matrix, by which the factors are chosen",
             .choices = {},
             .low = 1,
             .high = 1e6},
        },
    .needs = Needs::moments,
    .prepare = awq_prepare,
    .layer = awq_layer,
    .scale = awq_scale,
};

}  // namespace pith
