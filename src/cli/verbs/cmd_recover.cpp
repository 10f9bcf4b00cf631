#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/calibration_options.h"
#include "cli/command.h"
#include "cli/output_files.h"
#include "compress/container_choice.h"
#include "compress/lowrank/recover_within.h"
#include "core/error.h"
#include "report/human.h"

namespace pith::cli {

namespace {

struct RecoverOptions {
  std::string original, compressed, out, max_bytes, method = "gptq", to;
  CalibrationOptions calibration;
  long long rank = 8;
  bool overwrite = false, json = false;
};

std::string damage_text(const Recovered& found) {
  return fmt::format("on {} tokens their damage falls to {:.1f} % of what it was\n", found.tokens,
                     100 * found.after / found.before);
}

std::string notes_text(const std::vector<std::string>& notes) {
  std::string text;
  for (const std::string& note : notes) text += "note: " + note + "\n";
  return text;
}

std::string as_text(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

nlohmann::ordered_json correction_json(const Recovered& found, const std::string& target, dim bytes) {
  return {{"output", target},
          {"output_bytes", bytes},
          {"matrices", found.parts.size()},
          {"calibration_tokens", found.tokens},
          {"damage_left", found.before > 0 ? found.after / found.before : 0},
          {"notes", found.notes}};
}

// Of a model that was compressed before.
void correct(const RecoverOptions& o) {
  const Model original = Model::open(o.original), compressed = Model::open(o.compressed);
  const std::string target = o.out.empty() ? adapter_target(compressed) : o.out;
  const Recovered found = recover(original, compressed, dim(o.rank), o.calibration.choice(), terminal_progress());
  const dim bytes = write_adapter(target, adapter_files(compressed, found.parts), o.overwrite);
  if (o.json) {
    nlohmann::ordered_json out = correction_json(found, target, bytes);
    out["rank"] = o.rank;
    return print(as_text(out));
  }
  print(notes_text(found.notes) + fmt::format("{} matrices, rank {}; ", found.parts.size(), o.rank) +
        damage_text(found) + fmt::format("wrote {} ({})\n", target, report::human_bytes(bytes)));
}

// "attn_v@3,7 ffn_down@12"
std::string places_of(const BudgetSplit& split, dim rank) {
  std::map<Role, std::string> layers;
  for (const auto& [place, of] : split.ranks)
    if (of == rank) {
      std::string& text = layers[place.first];
      text += fmt::format("{}{}", text.empty() ? "" : ",", place.second);
    }
  std::string out;
  for (const auto& [role, text] : layers) out += fmt::format(" {}@{}", role_name(role), text);
  return out;
}

std::string split_text(const BudgetSplit& split) {
  std::string text;
  for (const Override& f : split.formats) text += "format: " + override_text(f) + "\n";
  std::map<dim, dim> matrices;
  for (const auto& [place, rank] : split.ranks) ++matrices[rank];
  for (const auto& [rank, count] : matrices)
    text += fmt::format("rank {}: {} matrices,{}\n", rank, count, places_of(split, rank));
  return text + fmt::format("predicted divergence {:.4f}, with bits alone {:.4f}\n", split.predicted, split.bits_alone);
}

nlohmann::ordered_json split_json(const BudgetSplit& split) {
  nlohmann::ordered_json out = {{"predicted_divergence", split.predicted},
                                {"predicted_divergence_of_bits_alone", split.bits_alone}};
  for (const Override& f : split.formats) out["formats"].push_back(override_text(f));
  out["ranks"] = nlohmann::ordered_json::array();
  for (const auto& [place, rank] : split.ranks)
    out["ranks"].push_back({{"role", role_name(place.first)}, {"layer", place.second}, {"rank", rank}});
  return out;
}

// Base and correction, within a budget.
void split_budget(const RecoverOptions& o) {
  const Model original = Model::open(o.original);
  Recipe recipe;
  recipe.steps = steps_of(o.method, {});
  recipe.max_bytes = parse_bytes(o.max_bytes);
  recipe.calibration = o.calibration.choice();
  const Container container = choose_container(o.to, o.out, recipe, original);
  const bool gguf = container == Container::gguf;
  const std::string target = o.out.empty() ? model_stem(o.original) + "-" + o.max_bytes + (gguf ? ".gguf" : "") : o.out;
  const std::string adapter = beside(target, "-adapter").string() + (gguf ? ".gguf" : "");
  if (!o.overwrite && std::filesystem::exists(adapter))
    throw Error(Blame::input, adapter, "expected no file there, there is one", "name another, or use --overwrite");
  const RecoveredWithin found = recover_within(original, recipe, container, target,
                                               {.max_ram_bytes = {}, .overwrite = o.overwrite}, terminal_progress());
  const auto& parts = found.correction.parts;
  const dim bytes = parts.empty() ? 0 : write_adapter(adapter, adapter_files(Model::open(target), parts), o.overwrite);
  if (o.json) {
    nlohmann::ordered_json out = split_json(found.split);
    out["base"] = {{"output", target}, {"output_bytes", found.base.output_bytes}};
    if (bytes > 0) out["correction"] = correction_json(found.correction, adapter, bytes);
    out["total_bytes"] = found.base.output_bytes + bytes;
    return print(as_text(out));
  }
  std::string text = notes_text(found.base.preflight.notes) + split_text(found.split);
  text += parts.empty() ? "no correction: bits alone are predicted to lose least\n"
                        : fmt::format("{} matrices are corrected; ", parts.size()) + damage_text(found.correction);
  text += fmt::format("wrote {} ({})", target, report::human_bytes(found.base.output_bytes));
  if (bytes > 0) text += fmt::format(" and {} ({})", adapter, report::human_bytes(bytes));
  print(text + fmt::format(", {} bytes together\n", found.base.output_bytes + bytes));
}

void run(const RecoverOptions& o) {
  if (o.compressed.empty() == o.max_bytes.empty())
    throw Error(
        Blame::input, "recover",
        fmt::format("expected a compressed model or --max-bytes, got {}", o.max_bytes.empty() ? "none" : "both"),
        "a compressed model is corrected as it is; --max-bytes makes one and its correction");
  o.compressed.empty() ? split_budget(o) : correct(o);
}

void set_up(CLI::App& app) {
  auto o = std::make_shared<RecoverOptions>();
  app.add_option("original", o->original, "the model before compression")->required();
  app.add_option("compressed", o->compressed, "the same, compressed");
  app.add_option("-o,--out", o->out,
                 "the adapter to write: a .gguf for a GGUF, else a PEFT folder (default: beside the compressed model); "
                 "with --max-bytes the compressed model, the adapter goes beside it");
  auto* rank = app.add_option("--rank", o->rank, "of each matrix's correction")->check(CLI::Range(1, 4096));
  rank->capture_default_str();
  auto* most = app.add_option("--max-bytes", o->max_bytes,
                              "compress within so many bytes, the correction included: formats and ranks are chosen "
                              "against each other, for each matrix");
  most->excludes(rank);
  app.add_option("-m,--method", o->method, "with --max-bytes: how it is rounded (rtn, hqq, gptq)")
      ->needs(most)
      ->capture_default_str();
  app.add_option("--to", o->to, "with --max-bytes: the container, gguf, hf or pith (default: gguf)")->needs(most);
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
    "  pith convert model-q3_k.gguf --lora model-q3_k-adapter.gguf --format f16 -o merged.gguf\n"
    "  pith recover model/ --max-bytes 75MB --calibrate text.txt -o model-75.gguf    both, bits and ranks chosen "
    "together",
    set_up};

}  // namespace pith::cli
