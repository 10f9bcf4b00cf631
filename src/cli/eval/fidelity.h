// The part of `pith eval` that measures fidelity.
#pragma once
#include <string_view>

#include "report/eval/fidelity.h"

namespace CLI {
class App;
}

namespace pith::cli {

struct FidelityArguments {
  bool wanted = false;
  dim prompts = 32, prompt_tokens = 64, tokens = 128;  // of greedy continuations
};
void add_fidelity_options(CLI::App& app, FidelityArguments& arguments);

// Prompts and the text of the blocks are pieces of `text`. Error(input) where it has too few tokens.
report::FidelityReport measure_fidelity(const Model& model, const Model& base, std::string_view text,
                                        const EvalOptions& options, const FidelityArguments& arguments);

}  // namespace pith::cli
