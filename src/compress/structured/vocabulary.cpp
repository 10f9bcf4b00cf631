// A vocabulary for a corpus: the tokens that occur most often in it, with all that they are merged from; what else
// appears is spelled in smaller tokens. Where that leaves room, the vocabulary's first tokens, which its own corpus had
// most often.
#include <algorithm>
#include <numeric>

#include "compress/structured/shape.h"
#include "core/error.h"

namespace pith {

namespace {

Model vocabulary_reshape(const ReshapeTask& task, const Options& options) {
  const dim vocab = task.model.config().vocab, most = dim(options.number("tokens"));
  if (most >= vocab) throw input_error("vocabulary", "tokens: expected fewer than the model's {}, got {}", vocab, most);
  std::vector<dim> count(static_cast<std::size_t>(vocab), 0);
  for (const auto& sequence : task.tokens().sequences)
    for (const Token t : sequence) ++count[std::size_t(t)];
  std::vector<Token> order(count.size());
  std::iota(order.begin(), order.end(), Token(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](Token a, Token b) { return count[std::size_t(a)] > count[std::size_t(b)]; });
  Surgery surgery = whole(task.model.config());
  surgery.tokens = task.model.tokenizer().selection(order, most);
  return cut_model(task.model, surgery);
}

}  // namespace

extern const Method vocabulary_method;
const Method vocabulary_method{
    .name = "vocabulary",
    .family = "structured pruning",
    .summary = "keeps the tokens that a corpus needs most: fewer rows of embedding and head, and a tokenizer for them",
    .paper = "vocabulary trimming (arXiv:2305.15020)",
    .options = {{.name = "tokens",
                 .default_value = "16384",
                 .help = "that stay, special ones and single bytes among them",
                 .choices = {},
                 .low = 1,
                 .high = 1e9}},
    .needs = Needs::text,
    .reshape = vocabulary_reshape,
};

}  // namespace pith
