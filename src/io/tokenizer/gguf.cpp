// Tokenizers in GGUF metadata (tokenizer.ggml.*), read.
#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "core/error.h"
#include "io/printable.h"
#include "io/tokenizer/data.h"

namespace pith {

namespace {

constexpr std::string_view kMark = "▁";
constexpr std::size_t kMaxTokens = std::size_t(1) << 24;

std::string key(std::string_view name) { return "tokenizer.ggml." + std::string(name); }

void read_tokens(const GgufMeta& meta, TokenizerData& data) {
  const auto& tokens = meta.get_strings(key("tokens"));
  if (tokens.empty() || tokens.size() > kMaxTokens)
    throw input_error("tokenizer.ggml.tokens", "expected 1 to {} tokens, got {}", kMaxTokens, tokens.size());
  data.tokens.reserve(tokens.size());
  for (const std::string& token : tokens) data.tokens.push_back(replace_invalid_utf8(token));
  data.types.assign(tokens.size(), TokenType::normal);
  const auto types = meta.find_ints(key("token_type"));
  if (!types.empty() && types.size() != tokens.size())
    throw input_error("tokenizer.ggml.token_type", "expected {} entries, got {}", tokens.size(), types.size());
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] < 0 || types[i] > 6)
      throw input_error("tokenizer.ggml.token_type", "expected 1 to 6, got {} for token {}", types[i], i);
    if (types[i] > 0) data.types[i] = TokenType(types[i]);
  }
  data.scores = meta.find_floats(key("scores"));
  if (!data.scores.empty() && data.scores.size() != tokens.size())
    throw input_error("tokenizer.ggml.scores", "expected {} entries, got {}", tokens.size(), data.scores.size());
  for (const float score : data.scores)
    if (!std::isfinite(score)) throw input_error("tokenizer.ggml.scores", "expected finite scores, got {}", score);
}

Token read_id(const GgufMeta& meta, std::string_view name, Token otherwise, const TokenizerData& data) {
  const std::int64_t id = meta.find_int(key(name), otherwise);
  if (id == -1 || id == std::numeric_limits<std::uint32_t>::max()) return -1;  // writers say "none" so
  if (id >= 0 && id < data.size()) return Token(id);
  if (!meta.has(key(name))) return -1;
  throw input_error(key(name), "expected a token below {}, got {}", data.size(), id);
}

void read_ids(const GgufMeta& meta, TokenizerData& data) {
  const bool spm = data.model == VocabModel::char_bpe, t5 = data.model == VocabModel::unigram;
  const bool bert = data.model == VocabModel::wordpiece;
  data.bos = read_id(meta, "bos_token_id", spm ? 1 : -1, data);
  data.eos = read_id(meta, "eos_token_id", spm ? 2 : t5 ? 1 : -1, data);
  data.unk = read_id(meta, "unknown_token_id", spm ? 0 : t5 ? 2 : bert ? 100 : -1, data);
  data.pad = read_id(meta, "padding_token_id", t5 || bert ? 0 : -1, data);
  data.sep = read_id(meta, "seperator_token_id", bert ? 102 : -1, data);  // GGUF's spelling
  data.cls = read_id(meta, "cls_token_id", bert ? 101 : -1, data);
  data.mask = read_id(meta, "mask_token_id", bert ? 103 : -1, data);
  for (const char* name : {"eot_token_id", "eom_token_id"})
    if (const Token token = read_id(meta, name, -1, data); token >= 0) data.more_ends.push_back(token);
}

// Flags of added tokens that GGUF has no key for; files by others lack them.
void read_added(const GgufMeta& meta, TokenizerData& data) {
  std::unordered_map<Token, std::size_t> at;
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    const TokenType type = data.types[i];
    const bool special = type == TokenType::control || type == TokenType::unknown;
    if ((!special && type != TokenType::user_defined) || data.tokens[i].empty()) continue;
    at[Token(i)] = data.added.size();
    data.added.push_back({.id = Token(i), .content = data.tokens[i], .special = special});
  }
  const auto mark = [&](const char* name, bool AddedToken::*flag) {
    for (const std::int64_t id : meta.find_ints(std::string("pith.added_tokens.") + name)) {
      const auto found = at.find(Token(id));
      if (found != at.end()) data.added[found->second].*flag = true;
    }
  };
  mark("normalized", &AddedToken::normalized);
  mark("strip_left", &AddedToken::strip_left);
  mark("strip_right", &AddedToken::strip_right);
  mark("single_word", &AddedToken::single_word);
}

void read_merges(const GgufMeta& meta, TokenizerData& data) {
  std::unordered_map<std::string_view, Token> ids;
  for (std::size_t i = 0; i < data.tokens.size(); ++i) ids.emplace(data.tokens[i], Token(i));
  const auto id_of = [&](std::string_view text) {
    const auto found = ids.find(text);
    if (found == ids.end()) throw input_error("tokenizer.ggml.merges", "expected {} to be a token", printable(text));
    return found->second;
  };
  for (const std::string& merge : meta.get_strings(key("merges"))) {
    const std::size_t space = merge.find(' ', 1);  // a first part may begin with a space
    if (space == std::string::npos)
      throw input_error("tokenizer.ggml.merges", "expected two parts, got {}", printable(merge));
    const std::string left = merge.substr(0, space), right = merge.substr(space + 1);
    data.merges.push_back({id_of(left), id_of(right), id_of(left + right), dim(data.merges.size())});
  }
}

void set_byte_level(const GgufMeta& meta, TokenizerData& data) {
  data.pre = meta.find_string(key("pre"), "default");
  const PreRules* rules = find_pre_rules(data.pre);
  if (!rules) throw input_error("tokenizer.ggml.pre", "expected a known pre-tokenizer, got {}", printable(data.pre));
  data.split = rules->steps();
  data.ignore_merges = rules->ignore_merges;
  if (rules->nfc) data.normalize.push_back({.kind = NormalizeStep::Kind::form, .form = NormalForm::nfc});
  data.decode.push_back({.kind = DecodeStep::Kind::byte_level});
  read_merges(meta, data);
}

void set_sentencepiece(const GgufMeta& meta, TokenizerData& data) {
  if (data.scores.empty()) throw input_error("tokenizer.ggml.scores", "expected scores, there are none");
  const bool prefix = meta.find_bool(key("add_space_prefix"), true);
  if (prefix) data.normalize.push_back({.kind = NormalizeStep::Kind::prepend, .text = std::string(kMark)});
  data.normalize.push_back({.kind = NormalizeStep::Kind::replace, .text = " ", .content = std::string(kMark)});
  data.byte_fallback = std::find(data.types.begin(), data.types.end(), TokenType::byte) != data.types.end();
  data.fuse_unk = true;
  data.merges = merges_of_scores(data);
  data.decode.push_back({.kind = DecodeStep::Kind::replace, .text = std::string(kMark), .content = " "});
  data.decode.push_back({.kind = DecodeStep::Kind::byte_fallback});
  data.decode.push_back({.kind = DecodeStep::Kind::fuse});
  if (prefix) data.decode.push_back({.kind = DecodeStep::Kind::strip, .text = " ", .start = 1});
}

void set_unigram(const GgufMeta& meta, TokenizerData& data) {
  if (data.scores.empty()) throw input_error("tokenizer.ggml.scores", "expected scores, there are none");
  if (meta.find_bool(key("treat_whitespace_as_suffix"), false))
    throw input_error("tokenizer.ggml", "white space as a suffix of words is not supported");
  std::string charsmap;
  for (const std::int64_t byte : meta.find_ints(key("precompiled_charsmap"))) charsmap += char(byte);
  if (!charsmap.empty()) data.normalize.push_back({.kind = NormalizeStep::Kind::charsmap, .text = charsmap});
  if (meta.find_bool(key("remove_extra_whitespaces"), false))
    data.normalize.push_back({.kind = NormalizeStep::Kind::squeeze});
  const bool prefix = meta.find_bool(key("add_space_prefix"), true);
  data.split.push_back({.kind = SplitStep::Kind::metaspace,
                        .source = std::string(kMark),
                        .prepend = prefix ? Prepend::always : Prepend::never,
                        .split = false});
  data.byte_fallback = std::find(data.types.begin(), data.types.end(), TokenType::byte) != data.types.end();
  data.decode.push_back(
      {.kind = DecodeStep::Kind::metaspace, .text = std::string(kMark), .first_mark_is_prefix = prefix});
}

// GGUF marks what begins a word, WordPiece what continues one.
void set_wordpiece(const GgufMeta& meta, TokenizerData& data) {
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    std::string& token = data.tokens[i];
    if (data.types[i] != TokenType::normal || token.empty()) continue;
    token = token.starts_with(kMark) ? token.substr(kMark.size()) : data.word_prefix + token;
  }
  const bool lower = meta.find_bool(key("normalizer.lowercase"), true);
  data.normalize.push_back({.kind = NormalizeStep::Kind::bert, .accents = lower, .lowercase = lower});
  data.split.push_back({.kind = SplitStep::Kind::bert});
  data.decode.push_back({.kind = DecodeStep::Kind::wordpiece, .text = data.word_prefix, .cleanup = true});
}

void set_surroundings(const GgufMeta& meta, TokenizerData& data) {
  if (data.model == VocabModel::wordpiece) {
    if (data.cls >= 0) data.before.push_back(data.cls);
    if (data.sep >= 0) data.after.push_back(data.sep);
    return;
  }
  static constexpr std::string_view kWithBos[] = {"llama3",    "llama-v3",     "llama-bpe", "falcon3",
                                                  "falcon-h1", "pixtral",      "midm-2.0",  "lfm2",
                                                  "tekken",    "jina-v5-nano", "chameleon"};
  const bool named = std::find(std::begin(kWithBos), std::end(kWithBos), data.pre) != std::end(kWithBos);
  const bool bos = data.model == VocabModel::char_bpe || (data.model == VocabModel::byte_bpe && named);
  if (data.bos >= 0 && meta.find_bool(key("add_bos_token"), bos)) data.before.push_back(data.bos);
  const bool eos = data.model == VocabModel::unigram;
  if (data.eos >= 0 && meta.find_bool(key("add_eos_token"), eos)) data.after.push_back(data.eos);
}

}  // namespace

TokenizerData read_tokenizer_gguf(const GgufMeta& meta) {
  static const std::unordered_map<std::string_view, VocabModel> models = {{"gpt2", VocabModel::byte_bpe},
                                                                          {"llama", VocabModel::char_bpe},
                                                                          {"t5", VocabModel::unigram},
                                                                          {"bert", VocabModel::wordpiece}};
  const std::string& name = meta.get_string(key("model"));
  const auto model = models.find(name);
  if (model == models.end())
    throw input_error("tokenizer.ggml.model", "expected gpt2, llama, t5 or bert, got {}", printable(name));
  TokenizerData data;
  data.model = model->second;
  read_tokens(meta, data);
  read_ids(meta, data);
  read_added(meta, data);
  data.pre = meta.find_string(key("pre"), "default");
  switch (data.model) {
    case VocabModel::byte_bpe:
      set_byte_level(meta, data);
      break;
    case VocabModel::char_bpe:
      set_sentencepiece(meta, data);
      break;
    case VocabModel::unigram:
      set_unigram(meta, data);
      break;
    case VocabModel::wordpiece:
      set_wordpiece(meta, data);
      break;
  }
  set_surroundings(meta, data);
  data.chat_template = meta.find_string("tokenizer.chat_template", "");
  return data;
}

}  // namespace pith
