#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "cli/compress_options.h"
#include "core/error.h"

namespace pith::cli {

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
    if (job.recipe.format->block != 1)
      throw Error(Blame::input, "convert",
                  fmt::format("expected a dense format (f32, f16, bf16), got {}", options->format),
                  "`pith quantize` stores a model in fewer bits");
    run_job(*options, job, model);
  });
}

extern const Command convert_command;
const Command convert_command = {"convert", "rewrite a model as dense weights, or from one container to the other",
                                 "  pith convert model.gguf --format bf16 --to hf -o model/\n"
                                 "  pith convert model/ --format f16 --to gguf\n"
                                 "  pith convert model-q4_1.gguf --format bf16 --dither 1",
                                 set_up};

}  // namespace pith::cli
