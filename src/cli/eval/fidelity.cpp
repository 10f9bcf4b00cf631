#include "cli/eval/fidelity.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/command.h"
#include "core/error.h"

namespace pith::cli {

void add_fidelity_options(CLI::App& app, FidelityArguments& a) {
  const char* group = "Fidelity";
  app.add_flag("--fidelity", a.wanted,
               "with --against: also the error of each block's output, and for how long greedy continuations agree")
      ->group(group);
  app.add_option("--greedy-prompts", a.prompts, "so many, from all over the text")
      ->capture_default_str()
      ->check(CLI::PositiveNumber)
      ->group(group);
  app.add_option("--prompt-tokens", a.prompt_tokens, "of each of them")
      ->capture_default_str()
      ->check(CLI::PositiveNumber)
      ->group(group);
  app.add_option("--greedy-tokens", a.tokens, "of each continuation, at most")
      ->capture_default_str()
      ->check(CLI::PositiveNumber)
      ->group(group);
}

report::FidelityReport measure_fidelity(const Model& model, const Model& base, std::string_view text,
                                        const EvalOptions& options, const FidelityArguments& a) {
  constexpr dim kSequences = 4, kLength = 256;
  report::FidelityReport report;
  dim length = kLength;
  for (const Model* m : {&model, &base})
    if (m->config().context > 0) length = std::min(length, m->config().context);
  length = std::min(length, dim(base.tokenizer().encode(text.substr(0, 16 * kLength), false, false).size()));
  if (length < 1) throw input_error("fidelity", "expected a text, got none");
  const auto sequences = pieces_of_text(base.tokenizer(), text, kSequences, length);
  const ActPlan* act = options.activations ? &options.activations->plan() : nullptr;
  report.layers = layer_fidelity(model, base, sequences, act, terminal_progress());
  report.layer_sequences = dim(sequences.size());
  report.layer_tokens = length;
  const auto prompts = pieces_of_text(base.tokenizer(), text, a.prompts, a.prompt_tokens);
  report.greedy = greedy_divergence(model, base, prompts, a.tokens, options, terminal_progress());
  report.prompt_tokens = a.prompt_tokens;
  return report;
}

}  // namespace pith::cli
