#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "cli/compress_options.h"
#include "core/error.h"

namespace pith::cli {

static bool has_packed_layer(const Model& model) {
  const auto tensors = model.tensors();
  return std::any_of(tensors.begin(), tensors.end(), [](const ModelTensor& t) { return t.weight.format->block != 1; });
}

static void set_up(CLI::App& app) {
  auto options = std::make_shared<CompressOptions>();
  add_compress_options(app, *options);
  app.add_option(
         "--dither", options->dither_seed,
         "seed: add uniform noise of half a step to weights that were quantized, so that a comparison of formats does "
         "not favour the source's own grid")
      ->check(CLI::NonNegativeNumber);
  app.callback([options] {
    const Model model = Model::open(options->model);
    const CompressJob job = make_job(*options, model);
    if (!job.recipe.format && options->to.empty() && options->target.empty() && options->lora.empty() &&
        options->store.empty())
      throw input_error("convert", "expected --to, --target, --format, --store or --lora: what should change?");
    if (job.recipe.format && job.recipe.format->block != 1 && !has_packed_layer(model))
      throw Error(Blame::input, "convert",
                  fmt::format("expected a dense format (f32, f16, bf16) for a dense source, got {}", options->format),
                  "`pith quantize` stores a model in fewer bits");
    run_job(*options, job, model);
  });
}

extern const Command convert_command;
const Command convert_command = {
    "convert", "rewrite a model in another container, its values unchanged; as dense weights; with an adapter merged",
    "  pith convert model-awq/ --to gguf                  exact: AWQ's grid as q5_0\n"
    "  pith convert model-q4_0.gguf --to gptq -o model-gptq/\n"
    "  pith convert model.gguf --format bf16 --to hf -o model/\n"
    "  pith convert model/ --lora adapter/ -o merged/\n"
    "  pith convert model-awq/ --to gguf --format q4_1 --allow-requantize\n"
    "  pith convert model-q4_1.gguf --format bf16 --dither 1",
    set_up};

}  // namespace pith::cli
