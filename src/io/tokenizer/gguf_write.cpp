// Tokenizers in GGUF metadata, written.
#include <algorithm>

#include "core/error.h"
#include "io/tokenizer/data.h"

namespace pith {

namespace {

constexpr std::string_view kMark = "▁";

std::string key(std::string_view name) { return "tokenizer.ggml." + std::string(name); }

[[noreturn]] void refuse(std::string_view what) {
  throw Error(Blame::input, "tokenizer", fmt::format("GGUF has no name for {}", what), "write safetensors instead");
}

// A line break is the same character however the file spells it.
std::string with_plain_breaks(const std::string& pattern) {
  std::string out;
  for (const char c : pattern) {
    if (c == '\r') {
      out += "\\r";
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

bool same_steps(std::vector<SplitStep> a, std::vector<SplitStep> b) {
  for (auto* steps : {&a, &b})
    for (SplitStep& step : *steps) step.source = with_plain_breaks(step.source);
  return a == b;
}

bool is_mark_replacement(const NormalizeStep& step) {
  return step.kind == NormalizeStep::Kind::replace && step.text == " " && step.content == kMark;
}

struct Spacing {
  bool prefix = false;
  bool squeeze = false;
  std::string charsmap;
};

// What the rules of a SentencePiece vocabulary say about white space.
Spacing spacing_of(const TokenizerData& data) {
  using Kind = NormalizeStep::Kind;
  Spacing spacing;
  bool marked = false;
  for (const NormalizeStep& step : data.normalize) {
    if (step.kind == Kind::prepend && step.text == kMark) {
      spacing.prefix = true;
    } else if (is_mark_replacement(step)) {
      marked = true;
    } else if (step.kind == Kind::squeeze || (step.kind == Kind::replace && step.text == " {2,}")) {
      spacing.squeeze = true;
    } else if (step.kind == Kind::charsmap && data.model == VocabModel::unigram) {
      spacing.charsmap = step.text;
    } else if (step.kind != Kind::strip || data.model != VocabModel::unigram) {
      refuse("the normalizer");
    }
  }
  for (const SplitStep& step : data.split) {
    if (step.kind == SplitStep::Kind::metaspace && step.source == kMark) {
      marked = true;
      spacing.prefix = step.prepend != Prepend::never;
    } else if (!marked || step.is_regex || step.source != " ") {  // no space is left to split at
      refuse("the pre-tokenizer");
    }
  }
  if (!marked) refuse("a vocabulary whose spaces are not marked");
  return spacing;
}

void write_tokens(const TokenizerData& data, const std::vector<float>& scores, dim rows, GgufMeta& meta) {
  const auto count = std::size_t(rows);
  std::vector<std::string> tokens(data.tokens.begin(), data.tokens.begin() + std::min(rows, data.size()));
  std::vector<std::int32_t> types;
  for (std::size_t i = 0; i < count; ++i) {
    const bool present = i < tokens.size() && !tokens[i].empty();
    types.push_back(std::int32_t(present ? data.types[i] : TokenType::unused));
    if (present && data.model == VocabModel::wordpiece && data.types[i] == TokenType::normal) {
      const bool tail = tokens[i].starts_with(data.word_prefix);
      tokens[i] = tail ? tokens[i].substr(data.word_prefix.size()) : std::string(kMark) + tokens[i];
    }
    if (i >= tokens.size()) tokens.emplace_back();
    if (!present) tokens[i] = fmt::format("[PAD{}]", i);
  }
  meta.set(key("tokens"), GgufArray{std::move(tokens)});
  meta.set(key("token_type"), GgufArray{std::move(types)});
  meta.erase(key("scores"));
  if (scores.empty()) return;
  std::vector<float> padded(scores.begin(), scores.begin() + std::min<dim>(rows, dim(scores.size())));
  const float lowest = *std::min_element(padded.begin(), padded.end());
  padded.resize(count, lowest - 1);
  meta.set(key("scores"), GgufArray{std::move(padded)});
}

void write_merges(const TokenizerData& data, GgufMeta& meta) {
  std::vector<std::string> merges;
  merges.reserve(data.merges.size());
  for (const Merge& merge : data.merges)
    merges.push_back(data.tokens[std::size_t(merge.left)] + " " + data.tokens[std::size_t(merge.right)]);
  meta.set(key("merges"), GgufArray{std::move(merges)});
}

void write_ids(const TokenizerData& data, dim rows, GgufMeta& meta) {
  const auto id = [&](const char* name, Token token) {
    if (token >= 0 && token < rows) meta.set(key(name), std::uint32_t(token));
  };
  id("bos_token_id", data.bos);
  id("eos_token_id", data.eos);
  id("unknown_token_id", data.unk);
  id("padding_token_id", data.pad);
  id("seperator_token_id", data.sep);
  id("cls_token_id", data.cls);
  id("mask_token_id", data.mask);
  const auto holds = [](const std::vector<Token>& around, Token token) {
    return token >= 0 && std::find(around.begin(), around.end(), token) != around.end();
  };
  if (data.model == VocabModel::wordpiece) return;  // always between CLS and SEP
  meta.set(key("add_bos_token"), holds(data.before, data.bos));
  meta.set(key("add_eos_token"), holds(data.after, data.eos));
}

// Flags that GGUF has no key for; our reader knows these, others pass over them.
void write_flags(const TokenizerData& data, dim rows, GgufMeta& meta) {
  const auto list = [&](const char* name, bool AddedToken::*flag) {
    std::vector<std::int32_t> ids;
    for (const AddedToken& token : data.added)
      if (token.*flag && token.id < rows) ids.push_back(token.id);
    const std::string where = std::string("pith.added_tokens.") + name;
    meta.erase(where);
    if (!ids.empty()) meta.set(where, GgufArray{std::move(ids)});
  };
  list("normalized", &AddedToken::normalized);
  list("strip_left", &AddedToken::strip_left);
  list("strip_right", &AddedToken::strip_right);
  list("single_word", &AddedToken::single_word);
}

void write_spacing(const Spacing& spacing, bool unigram, GgufMeta& meta) {
  meta.set(key("add_space_prefix"), spacing.prefix);
  if (!unigram) return;
  meta.set(key("remove_extra_whitespaces"), spacing.squeeze);
  std::vector<std::uint8_t> map(spacing.charsmap.begin(), spacing.charsmap.end());
  if (!map.empty()) meta.set(key("precompiled_charsmap"), GgufArray{std::move(map)});
}

void check_rows(const TokenizerData& data, dim rows) {
  for (dim i = rows; i < data.size(); ++i) {
    const TokenType type = data.types[std::size_t(i)];
    if (type != TokenType::control && type != TokenType::user_defined && type != TokenType::unused)
      throw input_error("tokenizer", "expected a row of the embedding for each token, got {} rows for {} tokens", rows,
                        data.size());
  }
}

}  // namespace

std::string pre_name(const TokenizerData& data) {
  if (data.model != VocabModel::byte_bpe) return "default";
  const NormalizeStep nfc{.kind = NormalizeStep::Kind::form, .form = NormalForm::nfc};
  const bool composed = data.normalize == std::vector<NormalizeStep>{nfc};
  if (!composed && !data.normalize.empty()) return "";
  for (const PreRules& rules : pre_rules()) {
    if (rules.nfc != composed || rules.ignore_merges != data.ignore_merges) continue;
    if (same_steps(rules.steps(), data.split)) return std::string(rules.names.front());
  }
  return "";
}

void write_tokenizer_gguf(const TokenizerData& data, dim rows, GgufMeta& meta) {
  if (rows <= 0) throw input_error("tokenizer", "expected rows of an embedding, got {}", rows);
  check_rows(data, rows);
  std::vector<float> scores;
  switch (data.model) {
    case VocabModel::byte_bpe:
      if (data.pre.empty()) refuse("the pre-tokenizer of this tokenizer.json");
      meta.set(key("model"), std::string("gpt2"));
      write_merges(data, meta);
      break;
    case VocabModel::char_bpe:
      scores = data.scores.empty() ? scores_of_merges(data) : data.scores;
      if (data.scores.empty()) check_scores_say_the_merges(data, scores);
      meta.set(key("model"), std::string("llama"));
      write_spacing(spacing_of(data), false, meta);
      break;
    case VocabModel::unigram:
      scores = data.scores;
      meta.set(key("model"), std::string("t5"));
      write_spacing(spacing_of(data), true, meta);
      break;
    case VocabModel::wordpiece:
      meta.set(key("model"), std::string("bert"));
      meta.set(key("token_type_count"), std::uint32_t(2));
      break;
  }
  if (data.model != VocabModel::byte_bpe) meta.erase(key("merges"));
  meta.set(key("pre"), data.pre);
  write_tokens(data, scores, rows, meta);
  write_ids(data, rows, meta);
  write_flags(data, rows, meta);
  if (!data.chat_template.empty()) meta.set("tokenizer.chat_template", data.chat_template);
}

}  // namespace pith
