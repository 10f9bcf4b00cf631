// How a text becomes windows of tokens, and which predictions count.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"
#include "io/tokenizer.h"

namespace pith {

enum class BosRule {
  text_start,      // once, at the start of the text
  replace_first,   // as text_start, and then in place of the first token of every window
  before_windows,  // in front of every window, which then has one token of text less
};

// All windows are disjoint; a tail shorter than a window is dropped and its tokens are counted as dropped,
// unless keep_tail says that it is a window too. BOS is used only where the tokenizer adds one.
struct Protocol {
  std::string_view name;  // "gptq-2048"
  std::string_view summary;
  dim context;  // tokens per window, BOS included
  BosRule bos;
  bool join_rows;         // rows of the text are joined by two newlines first
  bool drop_newline;      // one newline at the end of the text is not part of it
  bool second_half_only;  // only predictions made from the second half of a window count
  bool keep_tail;
  bool per_byte;  // the figure to quote is bits per byte, not perplexity per token
};
std::span<const Protocol> all_protocols();
const Protocol& protocol_or_throw(std::string_view name);  // Error(input) that lists the names

// Predictions of tokens[first_scored ...] count; token i is predicted by the logits of position i - 1.
struct Window {
  std::vector<Token> tokens;
  dim first_scored = 1;
  dim scored() const { return dim(tokens.size()) - first_scored; }
};

struct WindowSet {
  dim context = 0;
  std::vector<Window> windows;
  dim tokens_scored = 0;
  dim tokens_dropped = 0;  // of the tail and of windows past max_windows: not run
  dim bytes_scored = 0;    // of the text; see scored_bytes
  std::string conditions;  // in words
};

// model_context 0: unknown. max_windows 0: all. Error(input) when the text gives no window or the model's
// context is too short (keep_tail protocols shrink to it instead).
WindowSet make_windows(const Protocol& protocol, const Tokenizer& tokenizer, std::string_view text, dim model_context,
                       dim max_windows);

// The same cut for tokens already there: `tokens` without BOS; bos < 0: none is added.
WindowSet cut_windows(const Protocol& protocol, std::span<const Token> tokens, Token bos, dim context, dim max_windows);

}  // namespace pith
