// Writing tokenizer.json and tokenizer_config.json for a vocabulary that came from elsewhere.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/error.h"
#include "io/printable.h"
#include "io/tokenizer/json.h"

namespace pith {

using nlohmann::json;
using namespace tokenizer_json;

namespace {

// Tokens nothing can produce and that are no part of a merge may share a spelling in GGUF; in JSON each
// needs its own.
json vocabulary_json(const TokenizerData& data) {
  json vocab = json::object();
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    const std::string name = data.tokens[i].empty() ? fmt::format("[UNUSED_ID_{}]", i) : data.tokens[i];
    const bool fresh = vocab.emplace(name, i).second;
    if (!fresh)
      throw input_error("tokenizer", "expected each token once, {} is repeated; a tokenizer.json cannot hold that",
                        printable(name));
  }
  return vocab;
}

json merges_json(const TokenizerData& data) {
  json merges = json::array();
  for (const Merge& merge : data.merges) {
    if (merge.left < 0 || merge.right < 0) continue;  // the file's vocabulary cannot spell that part
    merges.push_back({data.tokens[std::size_t(merge.left)], data.tokens[std::size_t(merge.right)]});
  }
  return merges;
}

json model_json(const TokenizerData& data) {
  const json unk = data.unk >= 0 ? json(data.tokens[std::size_t(data.unk)]) : json(nullptr);
  switch (data.model) {
    case VocabModel::byte_bpe:
    case VocabModel::char_bpe:
      return {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", data.model == VocabModel::byte_bpe ? json(nullptr) : unk},
              {"continuing_subword_prefix", nullptr},
              {"end_of_word_suffix", nullptr},
              {"fuse_unk", data.fuse_unk},
              {"byte_fallback", data.byte_fallback},
              {"ignore_merges", data.ignore_merges},
              {"vocab", vocabulary_json(data)},
              {"merges", merges_json(data)}};
    case VocabModel::unigram: {
      json vocab = json::array();
      for (std::size_t i = 0; i < data.tokens.size(); ++i) vocab.push_back({data.tokens[i], data.scores[i]});
      return {{"type", "Unigram"},
              {"unk_id", data.unk >= 0 ? json(data.unk) : json(nullptr)},
              {"vocab", vocab},
              {"byte_fallback", data.byte_fallback}};
    }
    case VocabModel::wordpiece:
      return {{"type", "WordPiece"},
              {"unk_token", unk},
              {"continuing_subword_prefix", data.word_prefix},
              {"max_input_chars_per_word", data.max_word_characters},
              {"vocab", vocabulary_json(data)}};
  }
  return nullptr;
}

json added_json(const TokenizerData& data) {
  std::vector<const AddedToken*> tokens;
  for (const AddedToken& token : data.added) tokens.push_back(&token);
  std::sort(tokens.begin(), tokens.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
  json list = json::array();
  for (const AddedToken* token : tokens) {
    list.push_back({{"id", token->id},
                    {"content", token->content},
                    {"single_word", token->single_word},
                    {"lstrip", token->strip_left},
                    {"rstrip", token->strip_right},
                    {"normalized", token->normalized},
                    {"special", token->special}});
  }
  return list;
}

json template_json(const TokenizerData& data) {
  json single = json::array(), pair = json::array(), special = json::object();
  const auto add = [&](const std::vector<Token>& tokens, json& items, int type_id) {
    for (const Token token : tokens) {
      const std::string& name = data.tokens[std::size_t(token)];
      items.push_back({{"SpecialToken", {{"id", name}, {"type_id", type_id}}}});
      special[name] = {{"id", name}, {"ids", {token}}, {"tokens", {name}}};
    }
  };
  const auto add_text = [&](const char* which, json& items, int type_id) {
    add(data.before, items, type_id);
    items.push_back({{"Sequence", {{"id", which}, {"type_id", type_id}}}});
    add(data.after, items, type_id);
  };
  add_text("A", single, 0);
  add_text("A", pair, 0);
  add_text("B", pair, 1);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

}  // namespace

std::string write_tokenizer_json(const TokenizerData& data) {
  if (!data.source_json.empty()) return data.source_json;
  const json file = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", added_json(data)},
                     {"normalizer", normalizer_json(data.normalize)},
                     {"pre_tokenizer", pretokenizer_json(data)},
                     {"post_processor", template_json(data)},
                     {"decoder", decoder_json(data)},
                     {"model", model_json(data)}};
  return file.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string write_tokenizer_config(const TokenizerData& data) {
  if (!data.source_config.empty()) return data.source_config;
  json config = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  const auto name = [&](const char* key, Token token) {
    if (token >= 0) config[key] = data.tokens[std::size_t(token)];
  };
  name("bos_token", data.bos);
  name("eos_token", data.eos);
  name("unk_token", data.unk);
  name("pad_token", data.pad);
  name("sep_token", data.sep);
  name("cls_token", data.cls);
  name("mask_token", data.mask);
  const auto holds = [](const std::vector<Token>& around, Token token) {
    return token >= 0 && std::find(around.begin(), around.end(), token) != around.end();
  };
  config["add_bos_token"] = holds(data.before, data.bos);
  config["add_eos_token"] = holds(data.after, data.eos);
  if (!data.chat_template.empty()) config["chat_template"] = data.chat_template;
  return config.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace pith
