#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "cli/compress_options.h"
#include "compress/recipe_file.h"
#include "core/error.h"

namespace pith::cli {

namespace {

struct PruneOptions {
  CompressOptions all;
  std::string sparsity, pattern, scope, ratio;
};

bool has_family(const std::string& chain, std::string_view ending) {
  for (const Step& step : steps_of(chain, {}))
    if (method_or_throw(step.method).family.ends_with(ending)) return true;
  return false;
}

// The methods that will work, a + between them.
std::string chain_of(const CompressOptions& o) {
  if (o.recipe.empty() || !o.method.empty()) return o.method.empty() ? "wanda" : o.method;
  std::string chain;
  for (const Step& step : open_recipe(o.recipe).recipe.steps)
    if (!step.method.empty()) chain += (chain.empty() ? "" : "+") + step.method;
  return chain.empty() ? "rtn" : chain;
}

// What the verb's own options say, as options of the method.
void take_options(PruneOptions& o, const std::string& chain) {
  if (!o.sparsity.empty() && !o.pattern.empty())
    throw Error(Blame::input, "prune", "expected --sparsity or --pattern, got both",
                "a pattern says how much is dropped: of 2:4 a half");
  if (!o.all.prune_max_bytes.empty() && (!o.sparsity.empty() || !o.pattern.empty()))
    throw input_error("prune", "expected one of --max-bytes, --sparsity and --pattern, got several");
  for (std::string* percent : {&o.sparsity, &o.ratio})
    if (percent->ends_with('%')) percent->pop_back();
  const bool structures = has_family(chain, "structured pruning");
  if (!structures && !o.ratio.empty())
    throw Error(Blame::input, "prune", "expected --ratio with a method that takes structures out, got " + chain,
                "--sparsity says how many single values become 0");
  const bool preset = o.all.method.empty() && !o.all.recipe.empty();
  o.all.prune = preset ? std::filesystem::path(o.all.recipe).stem().string() : chain;
  const std::string amount = structures                      ? o.ratio
                             : !o.pattern.empty()            ? o.pattern
                             : o.sparsity.empty() && !preset ? "50"
                                                             : o.sparsity;
  if (!amount.empty()) o.all.prune += "-" + amount;
  std::replace(o.all.prune.begin(), o.all.prune.end(), ':', '_');
  if (!o.sparsity.empty()) o.all.set.push_back("sparsity=" + o.sparsity);
  if (!o.pattern.empty()) o.all.set.push_back("pattern=" + o.pattern);
  if (!o.ratio.empty()) o.all.set.push_back(fmt::format("ratio={:g}", percent_of(o.ratio) / 100));
  if (!o.scope.empty()) o.all.set.push_back("scope=" + o.scope);
}

void check_method(const std::string& chain) {
  if (has_family(chain, "pruning")) return;
  std::string names;
  for (const Method* m : all_methods())
    if (m->family.ends_with("pruning")) names += (names.empty() ? "" : ", ") + std::string(m->name);
  throw input_error("prune", "expected one of {}, alone or after a method that scales, got '{}'", names, chain);
}

void set_up(CLI::App& app) {
  auto options = std::make_shared<PruneOptions>();
  CompressOptions& all = options->all;
  add_compress_options(app, all);
  app.add_option("-m,--method", all.method, "which values go (see: pith methods; default: wanda)");
  app.add_option("-r,--recipe", all.recipe,
                 "instead: a preset (see: pith recipes) or a YAML file; other options have the last word");
  app.add_option("--sparsity", options->sparsity, "percent of each matrix that becomes 0 (default: 50)");
  app.add_option("--ratio", options->ratio,
                 "of methods that take whole structures out (depth, flap, ...): percent of every block's weights that "
                 "go (default: the method's)");
  app.add_option("--pattern", options->pattern, "instead: of each M neighbours in a row N stay, e.g. 2:4");
  app.add_option("--scope", options->scope, "row or matrix: within what scores are compared (default: the method's)");
  app.add_option("--allocation", all.allocation,
                 "how much of each layer: uniform, owl (more stays where scores stand out), sensitivity (one threshold "
                 "of their share in the layer's), global (one threshold of magnitude) (default: uniform)");
  app.add_option("--spread", all.spread,
                 "owl, sensitivity: most percent that a layer is away from the mean (default: 8)")
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--max-bytes", all.prune_max_bytes,
                 "instead of --sparsity: the least of it by which the weight files stay within this, e.g. 150MB");
  add_method_options(app, all);
  app.callback([options] {
    const std::string chain = chain_of(options->all);
    take_options(*options, chain);
    check_method(chain);
    if (options->all.recipe.empty()) options->all.method = chain;
    const Model model = Model::open(options->all.model);
    run_job(options->all, make_job(options->all, model), model);
  });
}

}  // namespace

extern const Command prune_command;
const Command prune_command = {
    "prune", "take values or whole structures out of a model: zeros that files leave out, or smaller matrices",
    "  pith prune model/ --calibrate text.txt                               half of the values, stored as zeros\n"
    "  pith prune model/ --method sparsegpt --sparsity 60% --calibrate text.txt --to gguf -o pruned.gguf\n"
    "  pith prune model/ --pattern 2:4 --calibrate text.txt --store two_of_four -o model-2to4/\n"
    "  pith prune model/ --method permute+ria --pattern 2:4 --calibrate text.txt       channels in a better order "
    "first\n"
    "  pith prune model/ --recipe slim20 --calibrate text.txt               a preset (see: pith recipes)\n"
    "  pith prune model/ --method sparsegpt --format int8_row_sym --store bitmask --calibrate text.txt\n"
    "  pith prune model/ --method magnitude --sparsity 30% --dry-run\n"
    "  pith prune model/ --method flap --ratio 20% --calibrate text.txt     heads and neurons: runs everywhere\n"
    "  pith prune model/ --method depth --set layers=6 --format q8_0 --calibrate text.txt",
    set_up, true};

}  // namespace pith::cli
