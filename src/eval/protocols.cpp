#include "eval/protocols.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "eval/text.h"

namespace pith {
namespace {

constexpr std::array kProtocols = {
    Protocol{.name = "gptq-2048",
             .summary = "the GPTQ papers' perplexity: rows joined by two newlines, windows of 2048, every prediction",
             .context = 2048,
             .bos = BosRule::text_start,
             .join_rows = true,
             .drop_newline = false,
             .second_half_only = false,
             .keep_tail = false,
             .per_byte = false},
    Protocol{.name = "llamacpp-512",
             .summary = "llama-perplexity's default: windows of 512, predictions of the second half",
             .context = 512,
             .bos = BosRule::replace_first,
             .join_rows = false,
             .drop_newline = true,
             .second_half_only = true,
             .keep_tail = false,
             .per_byte = false},
    Protocol{
        .name = "bpb",
        .summary = "bits per byte, comparable between vocabularies: windows of 1024, every prediction and the tail",
        .context = 1024,
        .bos = BosRule::before_windows,
        .join_rows = false,
        .drop_newline = false,
        .second_half_only = false,
        .keep_tail = true,
        .per_byte = true},
    Protocol{.name = "stories-256",
             .summary = "for very small models: windows of BOS and 255 tokens, every prediction",
             .context = 256,
             .bos = BosRule::before_windows,
             .join_rows = false,
             .drop_newline = false,
             .second_half_only = false,
             .keep_tail = false,
             .per_byte = false},
};

std::string bos_in_words(BosRule rule, bool has_bos) {
  if (!has_bos) return "no BOS (the tokenizer adds none)";
  switch (rule) {
    case BosRule::text_start:
      return "BOS once at the start of the text";
    case BosRule::replace_first:
      return "BOS at the start, and in place of the first token of each window";
    case BosRule::before_windows:
      return "BOS before each window";
  }
  return {};
}

// What is in `tokens` as one run, BOS at the start of the text included where the rule has it there.
std::vector<Token> whole_run(const Protocol& protocol, std::span<const Token> tokens, Token bos) {
  std::vector<Token> run;
  run.reserve(tokens.size() + 1);
  if (bos >= 0 && protocol.bos != BosRule::before_windows) run.push_back(bos);
  run.insert(run.end(), tokens.begin(), tokens.end());
  return run;
}

Window make_window(const Protocol& protocol, std::span<const Token> run, Token bos, dim context) {
  Window window;
  if (bos >= 0 && protocol.bos == BosRule::before_windows) window.tokens.push_back(bos);
  window.tokens.insert(window.tokens.end(), run.begin(), run.end());
  if (bos >= 0 && protocol.bos == BosRule::replace_first) window.tokens[0] = bos;
  window.first_scored = protocol.second_half_only ? context / 2 + 1 : 1;
  return window;
}

std::string conditions_in_words(const Protocol& protocol, const WindowSet& set, bool has_bos, dim windows_in_text) {
  const auto shown = dim(set.windows.size());
  std::string windows = shown < windows_in_text ? fmt::format("the first {} of {} windows", shown, windows_in_text)
                                                : fmt::format("{} window{}", shown, shown == 1 ? "" : "s");
  return fmt::format("context {}; {}; {} without overlap; {}; {} tokens scored, {} not run{}", set.context,
                     bos_in_words(protocol.bos, has_bos), windows,
                     protocol.second_half_only ? "predictions of the second half count" : "every prediction counts",
                     set.tokens_scored, set.tokens_dropped, protocol.join_rows ? "; rows joined by two newlines" : "");
}

// Bytes that the scored tokens stand for. Pieces may not add up to the text (normalization, a space put in
// front, unknown characters), so the text's own length is shared out in proportion to them.
dim scored_bytes(const Tokenizer& tokenizer, const WindowSet& set, std::span<const Token> tokens, dim text_bytes) {
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
  if (all == 0) return 0;
  return dim(std::llround(double(text_bytes) * double(scored) / double(all)));
}

}  // namespace

std::span<const Protocol> all_protocols() { return kProtocols; }

const Protocol& protocol_or_throw(std::string_view name) {
  std::string names;
  for (const Protocol& protocol : kProtocols) {
    if (protocol.name == name) return protocol;
    names += names.empty() ? "" : ", ";
    names += protocol.name;
  }
  throw input_error("protocol", "expected one of {}, got '{}'", names, name);
}

WindowSet cut_windows(const Protocol& protocol, std::span<const Token> tokens, Token bos, dim context,
                      dim max_windows) {
  WindowSet set;
  set.context = context;
  const std::vector<Token> run = whole_run(protocol, tokens, bos);
  const dim text_per_window = context - (bos >= 0 && protocol.bos == BosRule::before_windows ? 1 : 0);
  const dim total = dim(run.size());
  const dim full = total / text_per_window;
  const dim tail = total - full * text_per_window;
  const bool tail_counts = protocol.keep_tail && tail + (context - text_per_window) >= 2;
  const dim in_text = full + (tail_counts ? 1 : 0);
  const dim count = max_windows > 0 ? std::min(max_windows, in_text) : in_text;
  dim used = 0;
  for (dim w = 0; w < count; ++w) {
    const dim length = std::min(text_per_window, total - used);
    set.windows.push_back(
        make_window(protocol, std::span(run).subspan(std::size_t(used), std::size_t(length)), bos, context));
    set.tokens_scored += set.windows.back().scored();
    used += length;
  }
  set.tokens_dropped = total - used;
  set.conditions = conditions_in_words(protocol, set, bos >= 0, in_text);
  return set;
}

WindowSet make_windows(const Protocol& protocol, const Tokenizer& tokenizer, std::string_view text, dim model_context,
                       dim max_windows) {
  dim context = protocol.context;
  if (model_context > 0 && model_context < context) {
    if (!protocol.keep_tail)
      throw Error(Blame::input, "protocol",
                  fmt::format("{} needs a context of {}, the model has {}", protocol.name, context, model_context),
                  "bpb takes any context");
    context = std::max<dim>(model_context, 2);
  }
  std::string joined;
  if (protocol.join_rows) text = joined = join_rows(text, "\n\n");
  if (protocol.drop_newline && text.ends_with('\n')) text.remove_suffix(1);
  const std::vector<Token> tokens = tokenizer.encode(text, false, false);
  WindowSet set = cut_windows(protocol, tokens, tokenizer.adds_bos() ? tokenizer.bos() : -1, context, max_windows);
  if (set.tokens_scored == 0 || text.empty())
    throw input_error("protocol", "{} needs a text of at least {} tokens, got {}", protocol.name, context,
                      tokens.size());
  set.bytes_scored = scored_bytes(tokenizer, set, tokens, dim(text.size()));
  return set;
}

}  // namespace pith
