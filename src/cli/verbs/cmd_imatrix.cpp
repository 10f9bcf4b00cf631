#include <memory>

#include "cli/calibration_options.h"
#include "cli/command.h"
#include "compress/calibrate/measure_importance.h"
#include "core/group.h"
#include "io/files.h"
#include "io/stage.h"
#include "report/importance.h"

namespace pith::cli {

namespace {

struct ImatrixOptions {
  std::string model, out;
  CalibrationOptions calibration;
  bool overwrite = false, json = false;
};

std::filesystem::path target_of(const ImatrixOptions& o) {
  if (!o.out.empty()) return o.out;
  return model_stem(o.model) + "-imatrix.gguf";
}

void write(const std::filesystem::path& target, const std::string& bytes, bool overwrite) {
  Stage stage(target, Stage::Kind::file, "imatrix", {.resume = false, .overwrite = overwrite});
  const std::string name = target.filename().string();
  stage.add_file(name, dim(bytes.size()));
  stage.write(name, 0, std::as_bytes(std::span(bytes)));
  stage.commit();
}

void measure(const ImatrixOptions& o) {
  const auto target = target_of(o);
  const Model model = Model::open(o.model);
  const MeasuredImportance measured =
      measure_importance(model, o.calibration.choice(), terminal_progress(), processes());
  if (!processes().first()) return;
  write(target, imatrix_gguf(measured.contents), o.overwrite);
  const std::string file = target.string();
  print(o.json ? report::importance_json(measured, file) : report::importance_text(measured, file));
}

void set_up(CLI::App& app) {
  auto o = std::make_shared<ImatrixOptions>();
  app.add_option("model", o->model, "a Hugging Face folder or a .gguf file")->required();
  app.add_option("-o,--out", o->out, "the file to write (default: named after the model, here)");
  add_calibration(app, o->calibration,
                  "text to run through the model: plain text, or .jsonl with conversations (default: the model writes "
                  "its own)");
  app.add_flag("--overwrite", o->overwrite, "replace an existing output");
  app.add_flag("--json", o->json, "machine-readable output");
  add_threads(app);
  app.callback([o] { measure(*o); });
}

}  // namespace

extern const Command imatrix_command;
const Command imatrix_command = {
    "imatrix", "measure how much each input of the linear layers matters, as llama.cpp's importance matrix",
    "  pith imatrix model/ --calibrate calibration.txt -o model-imatrix.gguf\n"
    "  pith quantize model/ --format q3_k --importance model-imatrix.gguf",
    set_up, true};

}  // namespace pith::cli
