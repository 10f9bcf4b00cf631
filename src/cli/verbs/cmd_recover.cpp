#include <memory>
#include <nlohmann/json.hpp>

#include "cli/calibration_options.h"
#include "cli/command.h"
#include "cli/output_files.h"
#include "compress/lowrank/recover.h"
#include "core/error.h"
#include "report/human.h"

namespace pith::cli {

namespace {

struct RecoverOptions {
  std::string original, compressed, out;
  CalibrationOptions calibration;
  long long rank = 8;
  bool overwrite = false, json = false;
};

std::string as_json(const RecoverOptions& o, const Recovered& found, const std::string& target, dim bytes) {
  const nlohmann::ordered_json out = {{"output", target},
                                      {"output_bytes", bytes},
                                      {"rank", o.rank},
                                      {"matrices", found.parts.size()},
                                      {"calibration_tokens", found.tokens},
                                      {"damage_left", found.before > 0 ? found.after / found.before : 0},
                                      {"notes", found.notes}};
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void run(const RecoverOptions& o) {
  const Model original = Model::open(o.original), compressed = Model::open(o.compressed);
  const std::string target = o.out.empty() ? adapter_target(compressed) : o.out;
  const Recovered found = recover(original, compressed, dim(o.rank), o.calibration.choice(), terminal_progress());
  const dim bytes = write_adapter(target, adapter_files(compressed, found.parts), o.overwrite);
  if (o.json) return print(as_json(o, found, target, bytes));
  std::string text;
  for (const std::string& note : found.notes) text += "note: " + note + "\n";
  print(text + fmt::format("{} matrices, rank {}; on {} tokens their damage falls to {:.1f} % of what it was\n"
                           "wrote {} ({})\n",
                           found.parts.size(), o.rank, found.tokens, 100 * found.after / found.before, target,
                           report::human_bytes(bytes)));
}

void set_up(CLI::App& app) {
  auto o = std::make_shared<RecoverOptions>();
  app.add_option("original", o->original, "the model before compression")->required();
  app.add_option("compressed", o->compressed, "the same, compressed")->required();
  app.add_option("-o,--out", o->out,
                 "the adapter to write: a .gguf for a GGUF, else a PEFT folder (default: beside the compressed model)");
  app.add_option("--rank", o->rank, "of each matrix's correction")->check(CLI::Range(1, 4096))->capture_default_str();
  add_calibration(app, o->calibration, "text to weigh inputs by (default: the model writes its own)");
  app.add_flag("--overwrite", o->overwrite, "replace an existing output");
  app.add_flag("--json", o->json, "machine-readable output");
  add_threads(app);
  app.callback([o] { run(*o); });
}

}  // namespace

extern const Command recover_command;
const Command recover_command = {
    "recover", "write what compression took away as a low-rank adapter (LoRC)",
    "  pith recover model/ model-q3_k.gguf --calibrate text.txt -o model-q3_k-adapter.gguf\n"
    "  llama-cli -m model-q3_k.gguf --lora model-q3_k-adapter.gguf\n"
    "  pith convert model-q3_k.gguf --lora model-q3_k-adapter.gguf --format f16 -o merged.gguf",
    set_up};

}  // namespace pith::cli
