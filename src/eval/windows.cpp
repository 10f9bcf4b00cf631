// Texts as windows of tokens.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "eval/protocols.h"
#include "eval/text.h"

namespace pith {
namespace {

// Tokens [begin, end) of the run; those before `fresh` were in a window already.
struct Span {
  dim begin, end, fresh;
};

std::vector<Span> cut_spans(const Protocol& protocol, dim total, dim length, dim overlap, bool bos_before) {
  std::vector<Span> spans;
  const auto counts = [&](const Span& s) { return s.end - s.begin + (bos_before ? 1 : 0) >= 2; };
  dim end = 0;
  if (total >= length || protocol.tail != TailRule::drop) {
    const Span first{0, std::min(length, total), 0};
    if (counts(first)) spans.push_back(first), end = first.end;
  }
  while (!spans.empty() && end < total) {
    Span next{end - overlap, end - overlap + length, end};
    if (next.end > total) {
      if (protocol.tail == TailRule::drop) break;
      next.end = total;
      if (protocol.tail == TailRule::slide_back) next.begin = total - length;
      if (!counts(next)) break;
    }
    spans.push_back(next);
    end = next.end;
  }
  return spans;
}

Window make_window(const Protocol& protocol, std::span<const Token> run, const Span& span, Token bos, dim context) {
  const bool bos_before = bos >= 0 && protocol.bos == BosRule::before_windows;
  Window window;
  if (bos_before) window.tokens.push_back(bos);
  const auto part = run.subspan(std::size_t(span.begin), std::size_t(span.end - span.begin));
  window.tokens.insert(window.tokens.end(), part.begin(), part.end());
  if (bos >= 0 && protocol.bos == BosRule::replace_first) window.tokens[0] = bos;
  window.first_scored = std::max<dim>(1, span.fresh - span.begin + (bos_before ? 1 : 0));
  if (protocol.second_half_only) window.first_scored = std::max(window.first_scored, context / 2 + 1);
  return window;
}

std::string bos_in_words(BosRule rule, bool has_bos) {
  if (!has_bos) return "no BOS (the tokenizer adds none)";
  switch (rule) {
    case BosRule::text_start:
      return "BOS once at the start of the text";
    case BosRule::replace_first:
      return "BOS at the start, and in place of the first token of each window";
    case BosRule::before_windows:
      return "BOS before each window";
    case BosRule::always:
      return "BOS or EOS at the start of the text";
  }
  return {};
}

std::string conditions_in_words(const Protocol& protocol, const WindowSet& set, bool has_bos, dim windows_in_text) {
  const auto shown = dim(set.windows.size());
  const std::string windows = shown < windows_in_text
                                  ? fmt::format("the first {} of {} windows", shown, windows_in_text)
                                  : fmt::format("{} window{}", shown, shown == 1 ? "" : "s");
  const std::string cut =
      protocol.overlap > 0 ? fmt::format("{} further each", set.context - protocol.overlap) : "without overlap";
  return fmt::format("context {}; {}; {} {}; {}; {} tokens scored, {} not run{}",
                     set.context - (protocol.bos == BosRule::always ? 1 : 0), bos_in_words(protocol.bos, has_bos),
                     windows, cut,
                     protocol.second_half_only ? "predictions of the second half count"
                     : protocol.overlap > 0    ? "predictions of new tokens count"
                                               : "every prediction counts",
                     set.tokens_scored, set.tokens_dropped,
                     protocol.rows == RowRule::wikitext    ? "; rows joined by two newlines"
                     : protocol.rows == RowRule::sentences ? "; sentences joined by spaces"
                                                           : "");
}

// The share of the text's bytes that the scored tokens stand for. Pieces may not add up to the text (normalization, a
// space put in front, unknown characters), so what the text has is shared out in proportion to them.
double scored_share(const Tokenizer& tokenizer, const WindowSet& set, std::span<const Token> tokens) {
  std::vector<dim> length(std::size_t(tokenizer.vocab_size()), -1);
  const auto length_of = [&](Token token) {
    if (token < 0 || token >= tokenizer.vocab_size()) return dim(0);
    dim& known = length[std::size_t(token)];
    if (known < 0) known = dim(tokenizer.piece(token).size());
    return known;
  };
  dim all = 0, scored = 0;
  for (const Token token : tokens) all += length_of(token);
  for (const Window& window : set.windows)
    for (auto i = std::size_t(window.first_scored); i < window.tokens.size(); ++i)
      scored += length_of(window.tokens[i]);
  return all == 0 ? 0 : double(scored) / double(all);
}

std::string_view apply_rows(const Protocol& protocol, std::string_view text, std::string& room) {
  if (protocol.rows == RowRule::wikitext) text = room = join_rows(text, "\n\n");
  if (protocol.rows == RowRule::sentences) text = room = join_sentences(text);
  if (protocol.drop_newline && text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

Token bos_of(const Protocol& protocol, const Tokenizer& tokenizer) {
  if (protocol.bos != BosRule::always) return tokenizer.adds_bos() ? tokenizer.bos() : -1;
  const Token start = tokenizer.bos() >= 0 ? tokenizer.bos() : tokenizer.eos();
  if (start < 0) throw input_error("protocol", "{} needs a tokenizer that has BOS or EOS", protocol.name);
  return start;
}

// The protocol with what the user and the model make of it; its context is then that of a window.
Protocol settle(Protocol p, dim model_context, dim tokens, const WindowOptions& options) {
  const dim own = p.context, asked = options.context;
  p.context = asked > 0 ? asked : own > 0 ? own : model_context > 0 ? model_context : tokens + 1;
  if (model_context > 0 && model_context < p.context) {
    if (asked > 0 || p.tail == TailRule::drop)
      throw Error(Blame::input, "protocol",
                  fmt::format("{} needs a context of {}, the model has {}", p.name, p.context, model_context),
                  "--context N takes windows of N tokens, and bpb takes any context");
    p.context = model_context;
  }
  p.context = std::max<dim>(p.context, 2);
  if (p.bos == BosRule::always) ++p.context;  // a window's last token is no input
  if (own > 0) p.overlap = p.overlap * p.context / own;
  if (options.stride > 0) {
    if (options.stride >= p.context)
      throw input_error("protocol", "expected a stride below the context of {}, got {}", p.context, options.stride);
    p.overlap = p.context - options.stride;
  }
  return p;
}

}  // namespace

WindowSet cut_windows(const Protocol& protocol, std::span<const Token> tokens, Token bos, dim context,
                      dim max_windows) {
  WindowSet set;
  set.context = context;
  set.protocol = protocol.name;
  const bool bos_before = bos >= 0 && protocol.bos == BosRule::before_windows;
  std::vector<Token> run;
  run.reserve(tokens.size() + 1);
  if (bos >= 0 && !bos_before) run.push_back(bos);
  run.insert(run.end(), tokens.begin(), tokens.end());
  std::vector<Span> spans =
      cut_spans(protocol, dim(run.size()), context - (bos_before ? 1 : 0), protocol.overlap, bos_before);
  const auto in_text = dim(spans.size());
  for (const dim most : {max_windows, protocol.windows})
    if (most > 0) spans.resize(std::size_t(std::min(most, dim(spans.size()))));
  for (const Span& span : spans) {
    set.windows.push_back(make_window(protocol, run, span, bos, context));
    set.tokens_scored += set.windows.back().scored();
  }
  set.tokens_dropped = dim(run.size()) - (spans.empty() ? 0 : spans.back().end);
  set.conditions = conditions_in_words(protocol, set, bos >= 0, in_text);
  return set;
}

WindowSet make_windows(const Protocol& protocol, const Tokenizer& tokenizer, std::string_view text, dim model_context,
                       const WindowOptions& options) {
  std::string room;
  text = apply_rows(protocol, text, room);
  const std::vector<Token> tokens = tokenizer.encode(text, false, false);
  const Protocol own = settle(protocol, model_context, dim(tokens.size()), options);
  const Token bos = bos_of(protocol, tokenizer);
  // No room is taken for more than the text has.
  const bool shorter = protocol.context == 0 && dim(tokens.size()) + 1 < own.context;
  WindowSet set = cut_windows(own, tokens, bos, shorter ? dim(tokens.size()) + 1 : own.context, options.max_windows);
  if (set.tokens_scored == 0 || text.empty())
    throw input_error("protocol", "{} needs a text of at least {} tokens, got {}", own.name,
                      protocol.context == 0 ? 2 : own.context, tokens.size());
  if (options.context > 0 || options.stride > 0)
    set.protocol += fmt::format(" (context {}, stride {})", set.context - (own.bos == BosRule::always ? 1 : 0),
                                set.context - own.overlap);
  const double share = scored_share(tokenizer, set, tokens);
  set.bytes_scored = std::llround(share * double(text.size()));
  set.words_scored = std::llround(share * double(count_words(text)));
  return set;
}

}  // namespace pith
