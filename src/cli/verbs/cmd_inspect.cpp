#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "report/inspect.h"

namespace pith::cli {

namespace {

struct InspectArguments {
  std::string model, kv;
  dim context = 0;
  bool zeros = false, json = false;
};

void set_up(CLI::App& app) {
  auto a = std::make_shared<InspectArguments>();
  app.add_option("model", a->model, "a Hugging Face folder or a .gguf file")->required();
  app.add_option("--context", a->context, "tokens that the memory estimate is for (0: the model's own)")
      ->check(CLI::NonNegativeNumber);
  add_kv(app, a->kv, "as the model says");
  app.add_flag("--zeros", a->zeros, "count the zeros of the linear layers: reads every weight");
  app.add_flag("--json", a->json, "machine-readable output");
  app.callback([a] {
    std::optional<KvSpec> kv;  // before any work
    if (!a->kv.empty()) kv.emplace(a->kv);
    const Model model = Model::open(a->model);
    auto summary = report::summarize(model, a->context, kv);
    if (a->zeros) summary.zeros = count_zeros(model);
    print(a->json ? report::inspect_json(summary) : report::inspect_text(summary));
  });
}

}  // namespace

extern const Command inspect_command;
const Command inspect_command = {
    "inspect", "what is in a model: family, tensors by role, bits per weight, operations, memory at run time",
    "  pith inspect SmolLM2-135M/\n  pith inspect model.gguf --context 4096 --json\n  pith inspect pruned/ --zeros",
    set_up};

}  // namespace pith::cli
