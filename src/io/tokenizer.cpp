#include "io/tokenizer.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "io/tokenizer/added.h"
#include "io/tokenizer/bpe.h"
#include "io/tokenizer/data.h"
#include "io/tokenizer/normalize.h"
#include "io/tokenizer/unigram.h"

namespace pith {

namespace {

std::unordered_map<std::string_view, Token> ids_of(const TokenizerData& data) {
  std::unordered_map<std::string_view, Token> ids;
  ids.reserve(data.tokens.size());
  for (std::size_t i = 0; i < data.tokens.size(); ++i)
    if (!data.tokens[i].empty()) ids.emplace(data.tokens[i], Token(i));
  return ids;
}

// The added tokens that are looked for before the normalizer runs, or after it.
AddedTokens added_tokens(const TokenizerData& data, const Normalizer& normalizer, bool after) {
  std::vector<AddedToken> tokens;
  std::vector<std::string> spellings;
  for (const AddedToken& token : data.added) {
    if (token.normalized != after) continue;
    tokens.push_back(token);
    spellings.push_back(after ? normalizer.apply(token.content) : token.content);
  }
  return {std::move(tokens), spellings};
}

// Tokens that end a turn of a conversation, by the names that chat models give them.
constexpr std::string_view kTurnEnds[] = {"<|eot_id|>",
                                          "<|eom_id|>",
                                          "<|im_end|>",
                                          "<|end|>",
                                          "<end_of_turn>",
                                          "<|endoftext|>",
                                          "<|end_of_text|>",
                                          "<|END_OF_TURN_TOKEN|>",
                                          "<|return|>",
                                          "<|call|>",
                                          "<end_of_utterance>",
                                          "<|end▁of▁sentence|>",
                                          "<｜end▁of▁sentence｜>",
                                          "<|eot|>",
                                          "<turn|>",
                                          "<EOT>",
                                          "<|endofturn|>"};

bool marks_spaces(const TokenizerData& data) {
  return std::any_of(data.decode.begin(), data.decode.end(), [](const DecodeStep& step) {
    return step.text == "▁" && (step.kind == DecodeStep::Kind::metaspace || step.kind == DecodeStep::Kind::replace);
  });
}

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(TokenizerData given)
      : data(std::move(given)),
        ids(ids_of(data)),
        normalizer(data.normalize),
        pretokenizer(data.split),
        decoder(data.decode, data.decode_joins_by_space),
        added_raw(added_tokens(data, normalizer, false)),
        added_normalized(added_tokens(data, normalizer, true)),
        special(data.tokens.size(), false),
        added(data.tokens.size(), false) {
    for (const AddedToken& token : data.added) {
      special[std::size_t(token.id)] = token.special;
      added[std::size_t(token.id)] = true;
    }
    switch (data.model) {
      case VocabModel::byte_bpe:
      case VocabModel::char_bpe:
        kind = data.model == VocabModel::byte_bpe ? "byte-level bpe" : "sentencepiece bpe";
        bpe = std::make_unique<BpeModel>(data, ids);
        break;
      case VocabModel::unigram:
        kind = "unigram";
        unigram = std::make_unique<UnigramModel>(data);
        break;
      case VocabModel::wordpiece:
        kind = "wordpiece";
        wordpiece = std::make_unique<WordPieceModel>(data, ids);
        break;
    }
  }

  void encode_words(std::string_view text, bool at_start, BpeModel::Session& session, std::vector<Token>& out) const {
    std::vector<std::string_view> words;
    Pretokenizer::Storage storage;
    pretokenizer.split(text, at_start, words, storage);
    for (const std::string_view word : words) {
      if (bpe) bpe->encode(word, session, out);
      if (unigram) unigram->encode(word, out);
      if (wordpiece) wordpiece->encode(word, out);
    }
  }

  void encode(std::string_view text, bool parse_special, std::vector<Token>& out) const {
    BpeModel::Session session;
    for (const Fragment& raw : added_raw.find(text, parse_special)) {
      if (raw.token >= 0) {
        out.push_back(raw.token);
        continue;
      }
      std::string_view part = text.substr(raw.begin, raw.end - raw.begin);
      std::string rewritten;
      if (!normalizer.empty()) {
        rewritten = normalizer.apply(part);
        part = rewritten;
      }
      for (const Fragment& piece : added_normalized.find(part, parse_special)) {
        if (piece.token >= 0) {
          out.push_back(piece.token);
        } else {
          const bool at_start = raw.begin == 0 && piece.begin == 0;
          encode_words(part.substr(piece.begin, piece.end - piece.begin), at_start, session, out);
        }
      }
    }
  }

  const TokenizerData data;
  const std::unordered_map<std::string_view, Token> ids;  // views of data.tokens
  const Normalizer normalizer;
  const Pretokenizer pretokenizer;
  const Decoder decoder;
  const AddedTokens added_raw, added_normalized;
  std::vector<bool> special, added;  // one per token
  std::string kind;
  std::unique_ptr<BpeModel> bpe;
  std::unique_ptr<UnigramModel> unigram;
  std::unique_ptr<WordPieceModel> wordpiece;
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json) {
  TokenizerData data = read_tokenizer_json(tokenizer_json, tokenizer_config_json);
  data.pre = pre_name(data);
  return Tokenizer(std::make_unique<Impl>(std::move(data)));
}

Tokenizer Tokenizer::from_gguf(const GgufMeta& meta) {
  return Tokenizer(std::make_unique<Impl>(read_tokenizer_gguf(meta)));
}

std::vector<Token> Tokenizer::encode(std::string_view text, bool add_special, bool parse_special) const {
  std::string repaired;
  if (valid_utf8_prefix(text) != text.size()) {
    repaired = replace_invalid_utf8(text);
    text = repaired;
  }
  std::vector<Token> out;
  if (add_special) out = impl_->data.before;
  impl_->encode(text, parse_special, out);
  if (add_special) out.insert(out.end(), impl_->data.after.begin(), impl_->data.after.end());
  return out;
}

std::string Tokenizer::decode(std::span<const Token> tokens, bool skip_special) const {
  std::vector<std::string> pieces;
  pieces.reserve(tokens.size());
  for (const Token token : tokens) {
    if (token < 0 || token >= vocab_size())
      throw input_error("tokenizer", "expected tokens from 0 to {}, got {}", vocab_size() - 1, token);
    if (skip_special && is_special(token)) continue;
    pieces.push_back(impl_->data.tokens[std::size_t(token)]);
  }
  return impl_->decoder.apply(std::move(pieces));
}

std::string Tokenizer::piece(Token token) const {
  if (token < 0 || token >= vocab_size() || is_special(token)) return "";
  const TokenizerData& data = impl_->data;
  const std::string& text = data.tokens[std::size_t(token)];
  if (impl_->added[std::size_t(token)] && data.model == VocabModel::byte_bpe) return text;
  switch (data.model) {
    case VocabModel::byte_bpe:
      return bytes_of_spelling(text);
    case VocabModel::wordpiece:
      return text.starts_with(data.word_prefix) ? text.substr(data.word_prefix.size()) : " " + text;
    case VocabModel::char_bpe:
    case VocabModel::unigram:
      break;
  }
  const int byte = data.byte_fallback ? byte_of_token(text) : -1;
  if (byte >= 0) return std::string(1, char(byte));
  return marks_spaces(data) ? Pattern::literal("▁").replace_all(text, " ") : text;
}

dim Tokenizer::vocab_size() const { return impl_->data.size(); }
Token Tokenizer::bos() const { return impl_->data.bos; }
Token Tokenizer::eos() const { return impl_->data.eos; }
Token Tokenizer::unk() const { return impl_->data.unk; }
Token Tokenizer::pad() const { return impl_->data.pad; }

bool Tokenizer::adds_bos() const {
  const auto& before = impl_->data.before;
  return bos() >= 0 && std::find(before.begin(), before.end(), bos()) != before.end();
}

bool Tokenizer::is_special(Token token) const {
  return token >= 0 && token < vocab_size() && impl_->special[std::size_t(token)];
}

std::vector<Token> Tokenizer::end_tokens() const {
  std::vector<Token> ends = impl_->data.more_ends;
  if (eos() >= 0) ends.push_back(eos());
  for (const std::string_view name : kTurnEnds) {
    const auto found = impl_->ids.find(name);
    if (found != impl_->ids.end() && impl_->added[std::size_t(found->second)]) ends.push_back(found->second);
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return ends;
}

const std::string& Tokenizer::chat_template() const { return impl_->data.chat_template; }
const std::string& Tokenizer::kind() const { return impl_->kind; }
const std::string& Tokenizer::pre() const { return impl_->data.pre; }

void Tokenizer::to_gguf(GgufMeta& meta, dim vocab_rows) const { write_tokenizer_gguf(impl_->data, vocab_rows, meta); }
std::vector<Token> Tokenizer::selection(std::span<const Token> order, dim most) const {
  return select_tokens(impl_->data, order, most);
}

Tokenizer Tokenizer::reduced(std::span<const Token> kept) const {
  return Tokenizer(std::make_unique<Impl>(reduce_tokenizer(impl_->data, kept)));
}

std::string Tokenizer::to_tokenizer_json() const { return write_tokenizer_json(impl_->data); }
std::string Tokenizer::to_tokenizer_config_json() const { return write_tokenizer_config(impl_->data); }

}  // namespace pith
