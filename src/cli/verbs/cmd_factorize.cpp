#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "cli/compress_options.h"
#include "core/error.h"

namespace pith::cli {

namespace {

struct FactorizeOptions {
  CompressOptions all;
  std::string ratio, where, allocation;
};

void check_method(const std::string& chain) {
  std::string names;
  for (const Step& step : steps_of(chain, {}))
    if (method_or_throw(step.method).family == "low rank") return;
  for (const Method* m : all_methods())
    if (m->family == "low rank") names += (names.empty() ? "" : ", ") + std::string(m->name);
  throw input_error("factorize", "expected one of {}, alone or before methods that round, got '{}'", names, chain);
}

// What the verb's own options say, as options of the method.
void take_options(FactorizeOptions& o) {
  o.all.prune = o.all.method + (o.ratio.empty() ? "" : fmt::format("-{:g}", percent_of(o.ratio)));
  if (!o.ratio.empty()) o.all.set.push_back(fmt::format("ratio={:g}", percent_of(o.ratio) / 100));
  if (!o.where.empty()) o.all.set.push_back("where=" + o.where);
  if (!o.allocation.empty()) o.all.set.push_back("allocation=" + o.allocation);
}

void set_up(CLI::App& app) {
  auto options = std::make_shared<FactorizeOptions>();
  CompressOptions& all = options->all;
  all.method = "svd_llm";
  add_compress_options(app, all);
  app.add_option("-m,--method", all.method, "how (see: pith methods), e.g. svd_llm+gptq")->capture_default_str();
  app.add_option("--ratio", options->ratio, "percent of the weights that go (default: 20)");
  app.add_option("--where", options->where,
                 "which matrices, ROLES[@LAYERS], e.g. 'ffn_up|ffn_down@20-29' (default: *)");
  app.add_option("--allocation", options->allocation,
                 "how much of each matrix: uniform, global (one threshold of what a direction carries), sensitivity "
                 "(weighed by what losing it does to the output) (default: uniform)");
  add_method_options(app, all);
  app.callback([options] {
    check_method(options->all.method);
    take_options(*options);
    const Model model = Model::open(options->all.model);
    run_job(options->all, make_job(options->all, model), model);
  });
}

}  // namespace

extern const Command factorize_command;
const Command factorize_command = {
    "factorize", "replace matrices by products of two thinner ones: low rank",
    "  pith factorize model/ --calibrate text.txt                             a fifth of the weights goes\n"
    "  pith factorize model/ --ratio 30% --allocation sensitivity --calibrate text.txt -o thin/\n"
    "  pith factorize model/ --method svd_llm+gptq --format q4_0 --calibrate text.txt -o thin-q4/\n"
    "  pith factorize model/ --calibrate text.txt --to gguf -o merged.gguf    multiplied out, for other programs\n"
    "  pith factorize model/ --method asvd --where 'ffn_up|ffn_down@20-29' --calibrate text.txt --dry-run",
    set_up};

}  // namespace pith::cli
