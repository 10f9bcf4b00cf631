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
  always,          // as text_start, and EOS where the tokenizer has no BOS, even where it would add none
};

// What becomes one text first.
enum class RowRule {
  none,       // the text is one already
  wikitext,   // rows joined by two newlines; see text.h
  sentences,  // lines, without white space around them, joined by spaces
};

// What happens to tokens that fill no window.
enum class TailRule {
  drop,
  shorter,    // one shorter window
  slide_back  // one whole window that begins earlier; of it only those tokens count
};

// BOS is used only where the tokenizer adds one, but for BosRule::always.
struct Protocol {
  std::string_view name;  // "gptq-2048"
  std::string_view summary;
  dim context = 0;  // tokens per window, BOS included; 0: as many as the model takes, and a text's own end
  dim overlap = 0;  // tokens that a window has of the one before it; those after them count
  BosRule bos = BosRule::text_start;
  RowRule rows = RowRule::none;
  TailRule tail = TailRule::drop;
  bool drop_newline = false;                     // one newline at the end of the text is not part of it
  bool second_half_only = false;                 // only predictions made from the second half of a window count
  dim windows = 0;                               // no more than these; 0: all
  dim documents = 0;                             // of a .jsonl file: no more than these; 0: all
  std::string_view document_separator = "\n\n";  // between those
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
  dim bytes_scored = 0;    // of the text: its bytes, shared out in proportion to the tokens' pieces
  dim words_scored = 0;    // likewise of its words, as white space parts them
  std::string protocol;    // its name, with what was changed of it
  std::string conditions;  // in words
};

// What the user may change of a protocol; 0: as it says.
struct WindowOptions {
  dim context = 0;
  dim stride = 0;       // from the beginning of a window to that of the next
  dim max_windows = 0;  // 0: all
};

// model_context 0: unknown. Error(input) when the text gives no window or the model's context is too short (protocols
// that keep the tail shrink to it instead, unless the user asked for more).
WindowSet make_windows(const Protocol& protocol, const Tokenizer& tokenizer, std::string_view text, dim model_context,
                       const WindowOptions& options);

// The same cut for tokens already there: `tokens` without BOS; bos < 0: none is added. `context` in place of the
// protocol's.
WindowSet cut_windows(const Protocol& protocol, std::span<const Token> tokens, Token bos, dim context, dim max_windows);

}  // namespace pith
