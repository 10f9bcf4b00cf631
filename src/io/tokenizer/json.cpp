// Reading tokenizer.json and tokenizer_config.json.
#include "io/tokenizer/json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/error.h"
#include "io/json.h"
#include "io/printable.h"

namespace pith {

using nlohmann::json;
using namespace tokenizer_json;

namespace {

using Ids = std::unordered_map<std::string_view, Token>;

// A vocabulary may have holes, but not so many that a small file asks for much memory.
dim checked_id(const json& id, std::size_t entries, std::string_view name) {
  const dim limit = dim(entries) * 4 + 65536;
  if (!id.is_number_integer() || id < 0 || id >= limit)
    throw input_error("tokenizer.json", "expected the id of token {} to be a number below {}", printable(name), limit);
  return id.get<dim>();
}

void place(TokenizerData& data, dim id, const std::string& text, std::vector<bool>& taken) {
  if (id >= data.size()) {
    data.tokens.resize(std::size_t(id) + 1);
    data.types.resize(std::size_t(id) + 1, TokenType::unused);
    taken.resize(std::size_t(id) + 1);
  }
  if (taken[std::size_t(id)])
    throw input_error("tokenizer.json", "expected one token for each id, {} has {} and {}", id,
                      printable(data.tokens[std::size_t(id)]), printable(text));
  taken[std::size_t(id)] = true;
  data.tokens[std::size_t(id)] = text;
  data.types[std::size_t(id)] = TokenType::normal;
}

void read_vocabulary(const json& model, std::size_t extra, TokenizerData& data, std::vector<bool>& taken) {
  const json& vocab = member(model, "vocab");
  if (vocab.is_array()) {  // unigram: [text, score]
    data.tokens.reserve(vocab.size());
    for (const json& entry : vocab) {
      if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number())
        throw input_error("tokenizer.json", "expected pairs of text and score in vocab");
      place(data, data.size(), entry[0].get<std::string>(), taken);
      const float score = entry[1].get<float>();
      if (!std::isfinite(score)) throw input_error("tokenizer.json", "expected finite scores in vocab");
      data.scores.push_back(score);
    }
  } else if (vocab.is_object()) {
    data.tokens.reserve(vocab.size() + extra);
    for (const auto& [text, id] : vocab.items()) place(data, checked_id(id, vocab.size() + extra, text), text, taken);
  } else {
    throw input_error("tokenizer.json", "expected vocab to be an object or a list");
  }
  if (data.tokens.empty()) throw input_error("tokenizer.json", "expected tokens in vocab, it is empty");
}

Ids ids_of(const TokenizerData& data) {
  Ids ids;
  ids.reserve(data.tokens.size());
  for (std::size_t i = 0; i < data.tokens.size(); ++i)
    if (!data.tokens[i].empty()) ids.emplace(data.tokens[i], Token(i));
  return ids;
}

Token known_token(const Ids& ids, const std::string& text, std::string_view what) {
  const auto found = ids.find(text);
  if (found == ids.end())
    throw input_error("tokenizer.json", "expected {} to be in the vocabulary, {} is not", what, printable(text));
  return found->second;
}

void read_merges(const json& model, const Ids& ids, TokenizerData& data) {
  const json& merges = member(model, "merges");
  if (!merges.is_array()) throw input_error("tokenizer.json", "expected merges to be a list");
  data.merges.reserve(merges.size());
  for (const json& merge : merges) {
    std::string left, right;
    if (merge.is_string()) {
      const auto& both = merge.get_ref<const std::string&>();
      const std::size_t space = both.find(' ');
      if (space == std::string::npos || both.find(' ', space + 1) != std::string::npos)
        throw input_error("tokenizer.json", "expected two parts in a merge, got {}", printable(both));
      left = both.substr(0, space);
      right = both.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    } else {
      throw input_error("tokenizer.json", "expected merges as \"a b\" or [\"a\", \"b\"]");
    }
    data.merges.push_back({known_token(ids, left, "a part of a merge"), known_token(ids, right, "a part of a merge"),
                           known_token(ids, left + right, "a merge"), dim(data.merges.size())});
  }
}

void refuse_affix(const json& model, const char* key) {
  if (!text_or(model, key, "").empty())
    throw input_error("tokenizer.json", "a BPE vocabulary with {} is not supported", key);
}

void read_model(const json& model, std::size_t extra, TokenizerData& data, std::vector<bool>& taken) {
  std::string type = text_or(model, "type", "");
  if (type.empty()) {  // older files leave it out
    const bool list = member(model, "vocab").is_array();
    type = list ? "Unigram" : find_member(model, "merges") ? "BPE" : "WordPiece";
  }
  read_vocabulary(model, extra, data, taken);
  const Ids ids = ids_of(data);
  data.byte_fallback = flag_or(model, "byte_fallback", false);
  data.fuse_unk = flag_or(model, "fuse_unk", false);
  data.ignore_merges = flag_or(model, "ignore_merges", false);
  if (type == "BPE") {
    if (data.model != VocabModel::byte_bpe) data.model = VocabModel::char_bpe;
    refuse_affix(model, "continuing_subword_prefix");
    refuse_affix(model, "end_of_word_suffix");
    read_merges(model, ids, data);
  } else if (type == "Unigram") {
    data.model = VocabModel::unigram;
    if (data.scores.size() != data.tokens.size()) throw input_error("tokenizer.json", "expected scores in vocab");
    if (find_member(model, "unk_id")) data.unk = Token(count_or(model, "unk_id", 0));
    if (data.unk >= data.size()) throw input_error("tokenizer.json", "expected unk_id below {}", data.size());
  } else if (type == "WordPiece") {
    data.model = VocabModel::wordpiece;
    data.word_prefix = text_or(model, "continuing_subword_prefix", "##");
    data.max_word_characters = count_or(model, "max_input_chars_per_word", 100);
  } else {
    throw input_error("tokenizer.json", "expected a model of type BPE, Unigram or WordPiece, got {}", printable(type));
  }
  const std::string unk = text_or(model, "unk_token", "");
  if (!unk.empty() && data.model != VocabModel::unigram) {
    const auto found = ids.find(unk);
    if (found != ids.end()) data.unk = found->second;
  }
  if (data.byte_fallback)
    for (std::size_t i = 0; i < data.tokens.size(); ++i)
      if (byte_of_token(data.tokens[i]) >= 0) data.types[i] = TokenType::byte;
}

void read_added(const json& list, TokenizerData& data, std::vector<bool>& taken) {
  if (!list.is_array()) throw input_error("tokenizer.json", "expected added_tokens to be a list");
  const std::size_t entries = data.tokens.size() + list.size();
  std::unordered_map<std::string, Token> ids;
  for (std::size_t i = 0; i < data.tokens.size(); ++i) ids.emplace(data.tokens[i], Token(i));
  for (const json& item : list) {
    AddedToken token{.id = -1,
                     .content = text(item, "content"),
                     .special = flag_or(item, "special", false),
                     .normalized = flag_or(item, "normalized", true),
                     .strip_left = flag_or(item, "lstrip", false),
                     .strip_right = flag_or(item, "rstrip", false),
                     .single_word = flag_or(item, "single_word", false)};
    if (token.content.empty()) continue;
    token.id = Token(checked_id(member(item, "id"), entries, token.content));
    const auto [known, fresh] = ids.emplace(token.content, token.id);
    if (!fresh && known->second != token.id)
      throw input_error("tokenizer.json", "expected one id for token {}, got {} and {}", printable(token.content),
                        known->second, token.id);
    if (fresh) place(data, token.id, token.content, taken);
    data.types[std::size_t(token.id)] = token.special ? TokenType::control : TokenType::user_defined;
    data.added.push_back(std::move(token));
  }
  if (!data.scores.empty()) data.scores.resize(data.tokens.size(), 0.0f);
}

// A token is given by its text, or as an object that holds it.
std::string token_text(const json& config, const char* key) {
  const json* value = find_member(config, key);
  if (!value) return "";
  return value->is_object() ? text_or(*value, "content", "") : value->is_string() ? value->get<std::string>() : "";
}

void read_chat_template(const json& config, TokenizerData& data) {
  const json* given = find_member(config, "chat_template");
  if (!given) return;
  if (given->is_string()) data.chat_template = given->get<std::string>();
  if (!given->is_array()) return;
  for (const json& item : *given) {  // several, with names
    const std::string name = text(item, "name");
    if (name == "default" || data.chat_template.empty()) data.chat_template = text(item, "template");
  }
}

Ids ids_of_added(const TokenizerData& data) {
  Ids ids;
  for (const AddedToken& token : data.added) ids.emplace(token.content, token.id);
  return ids;
}

// What the configuration names; else what stands around a text, or an added token with a usual name.
void read_special(const json& config, TokenizerData& data) {
  const Ids ids = ids_of(data), added = ids_of_added(data);
  const auto id = [&](const char* key, Token otherwise, std::initializer_list<std::string_view> names) -> Token {
    if (const auto found = ids.find(token_text(config, key)); found != ids.end()) return found->second;
    if (config.contains(key) || otherwise >= 0) return config.contains(key) ? -1 : otherwise;
    for (const std::string_view name : names)
      if (const auto found = added.find(name); found != added.end()) return found->second;
    return -1;
  };
  const bool bert = data.model == VocabModel::wordpiece;
  const Token first = bert || data.before.empty() ? -1 : data.before.front();
  const Token last = bert || data.after.empty() ? -1 : data.after.back();
  data.bos = id("bos_token", first, {"<s>", "<bos>", "<|begin_of_text|>"});
  data.eos = id("eos_token", last, {"</s>", "<eos>", "<|im_end|>", "<|end_of_text|>", "<|endoftext|>"});
  data.unk = config.contains("unk_token") && data.unk < 0 ? id("unk_token", -1, {}) : data.unk;
  data.pad = id("pad_token", -1, {"<pad>", "[PAD]", "<|pad|>"});
  data.sep = id("sep_token", -1, {"[SEP]"});
  data.cls = id("cls_token", -1, {"[CLS]"});
  data.mask = id("mask_token", -1, {"[MASK]", "<mask>"});
}

// add_bos_token and add_eos_token overrule the post-processor where they are given.
void overrule(const json& config, const char* key, Token token, std::vector<Token>& around) {
  const json* given = find_member(config, key);
  if (!given || !given->is_boolean() || token < 0) return;
  const bool present = std::find(around.begin(), around.end(), token) != around.end();
  if (given->get<bool>() && !present) around.push_back(token);
  if (!given->get<bool>() && present) std::erase(around, token);
}

void read_config(std::string_view source, TokenizerData& data) {
  const json config = source.empty() ? json::object() : parse_json(source, "tokenizer_config.json");
  if (!config.is_object()) throw input_error("tokenizer_config.json", "expected an object");
  read_special(config, data);
  read_chat_template(config, data);
  overrule(config, "add_bos_token", data.bos, data.before);
  overrule(config, "add_eos_token", data.eos, data.after);
}

}  // namespace

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int value = 0;
  for (const char c : token.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

std::string byte_token(int byte) { return fmt::format("<0x{:02X}>", byte); }

TokenizerData read_tokenizer_json(std::string_view source, std::string_view config) {
  const json file = parse_json(source, "tokenizer.json");
  TokenizerData data;
  data.model = VocabModel::char_bpe;
  if (const json* rule = find_member(file, "pre_tokenizer")) read_pretokenizer(*rule, data);
  const json* added = find_member(file, "added_tokens");
  std::vector<bool> taken;
  read_model(member(file, "model"), added && added->is_array() ? added->size() : 0, data, taken);
  if (added) read_added(*added, data, taken);
  if (data.unk >= 0 && data.model != VocabModel::byte_bpe &&
      data.types[std::size_t(data.unk)] != TokenType::user_defined)
    data.types[std::size_t(data.unk)] = TokenType::unknown;
  if (const json* rule = find_member(file, "normalizer")) read_normalizer(*rule, data);
  if (const json* rule = find_member(file, "post_processor")) read_template(*rule, data);
  if (const json* rule = find_member(file, "decoder")) read_decoder(*rule, data);
  data.decode_joins_by_space = !find_member(file, "decoder");
  while (!data.split.empty() && data.split.back().kind == SplitStep::Kind::spelled_bytes) data.split.pop_back();
  read_config(config, data);
  data.source_json = source;
  data.source_config = config;
  return data;
}

}  // namespace pith
