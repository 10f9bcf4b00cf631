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
      "-r,--recipe", options->recipe,
      "a preset (see: pith recipes) or a YAML file: steps, formats, calibration; other options have the last "
      "word");
  app.add_option("-m,--method", options->method,
                 "how values are chosen (see: pith methods; default: rtn); awq+gptq: scaled by one, rounded by the "
                 "other");
  app.add_option("--max-bytes", options->max_bytes,
                 "instead of --format: a format for each matrix so that the file stays within this, e.g. 90MB, and the "
                 "predicted divergence is least");
  add_method_options(app, *options);
  app.callback([options] {
    const int given = !options->format.empty() + !options->max_bytes.empty();
    if (given > 1 || (given == 0 && options->recipe.empty()))
      throw Error(Blame::input, "quantize", "expected --recipe, or one of --format and --max-bytes",
                  "pith quantize model/ --format q4_0, or --max-bytes 90MB, or --recipe w4-best");
    const Model model = Model::open(options->model);
    run_job(*options, make_job(*options, model), model);
  });
}

extern const Command quantize_command;
const Command quantize_command = {
    "quantize", "store a model's weights in fewer bits, and report what it cost",
    "  pith quantize SmolLM2-135M/ --format q4_0\n"
    "  pith quantize model.gguf --format q4_k --dry-run\n"
    "  pith quantize model/ --recipe w4-best --calibrate calibration.txt\n"
    "  pith quantize model/ --format int4_g128 --to hf -o model-int4/\n"
    "  pith quantize model/ --format q3_k --override 'attn_v|ffn_down=q5_k' --importance model.imatrix\n"
    "  pith quantize model/ --method gptq --format q4_0 --calibrate calibration.txt\n"
    "  pith quantize model/ --method gptq --max-bytes 90MB --calibrate calibration.txt",
    set_up, true};

}  // namespace pith::cli
