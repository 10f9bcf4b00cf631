// For how long a compressed model says word for word what its original says.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "core/progress.h"
#include "eval/perplexity.h"
#include "model/model.h"

namespace pith {

struct GreedyDivergence {
  dim limit = 0;                // tokens of each continuation
  std::vector<dim> agreed;      // of each prompt, tokens until the first that differs; `limit`: none does
  dim identical = 0;            // prompts without a difference, up to the limit or the same end
  double median = 0, mean = 0;  // of `agreed`; below the truth where prompts are identical
};

// Greedy continuations of each prompt (tokens, not empty) by both; a continuation ends at `limit` tokens, and after a
// token that ends an answer nothing counts. Of `options` the codecs and `fast` are the model's; the base runs as it is.
// Error(input) where prompt and limit pass a model's context.
GreedyDivergence greedy_divergence(const Model& model, const Model& base, std::span<const std::vector<Token>> prompts,
                                   dim limit, const EvalOptions& options = {}, Progress& progress = no_progress());

// The figures of `agreed`.
GreedyDivergence summarize(std::vector<dim> agreed, dim limit);

// Tokens that both begin with, up to and with the first of `ends`; `limit` where that is all.
dim agreed_tokens(std::span<const Token> a, std::span<const Token> b, std::span<const Token> ends, dim limit);

// `count` pieces of `length` tokens at equal distances over a text, BOS before each where the tokenizer adds one.
// Fewer where the text has not room for as many that do not overlap; Error(input) where it has none.
std::vector<std::vector<Token>> pieces_of_text(const Tokenizer& tokenizer, std::string_view text, dim count,
                                               dim length);

}  // namespace pith
