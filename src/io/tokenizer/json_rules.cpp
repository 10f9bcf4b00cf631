// The rules of a tokenizer.json: normalizer, pre_tokenizer, decoder and post_processor.
#include <openssl/evp.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/printable.h"
#include "io/tokenizer/json.h"

namespace pith::tokenizer_json {

using nlohmann::json;

const json* find_member(const json& object, const char* key) {
  if (!object.is_object()) throw input_error("tokenizer.json", "expected an object with {}", key);
  const auto at = object.find(key);
  return at == object.end() || at->is_null() ? nullptr : &*at;
}

const json& member(const json& object, const char* key) {
  if (const json* found = find_member(object, key)) return *found;
  throw input_error("tokenizer.json", "expected {}, it is missing", key);
}

std::string text(const json& object, const char* key) {
  const json& value = member(object, key);
  if (!value.is_string()) throw input_error("tokenizer.json", "expected {} to be a string", key);
  return value.get<std::string>();
}

std::string text_or(const json& object, const char* key, std::string_view otherwise) {
  return find_member(object, key) ? text(object, key) : std::string(otherwise);
}

bool flag_or(const json& object, const char* key, bool otherwise) {
  const json* value = find_member(object, key);
  if (!value) return otherwise;
  if (!value->is_boolean()) throw input_error("tokenizer.json", "expected {} to be true or false", key);
  return value->get<bool>();
}

dim count_or(const json& object, const char* key, dim otherwise) {
  const json* value = find_member(object, key);
  if (!value) return otherwise;
  if (!value->is_number_integer() || *value < 0 || *value > dim(1) << 40)
    throw input_error("tokenizer.json", "expected {} to be a count", key);
  return value->get<dim>();
}

namespace {

[[noreturn]] void refuse(const char* what, const std::string& type) {
  throw Error(Blame::input, "tokenizer.json", fmt::format("expected a known {}, got {}", what, printable(type)));
}

// {"String": "..."} or {"Regex": "..."}
void read_pattern(const json& rule, std::string& source, bool& is_regex) {
  const json& pattern = member(rule, "pattern");
  if (pattern.is_string()) {
    source = pattern.get<std::string>();
    is_regex = false;
    return;
  }
  is_regex = find_member(pattern, "Regex") != nullptr;
  source = text(pattern, is_regex ? "Regex" : "String");
}

SplitBehavior read_behavior(const std::string& name) {
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  refuse("behavior", name);
}

std::string from_base64(const std::string& coded) {
  if (coded.size() % 4 != 0 || coded.size() > (std::size_t(1) << 28))
    throw input_error("tokenizer.json", "expected base64, got {} characters", coded.size());
  std::string bytes(coded.size() / 4 * 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<const unsigned char*>(coded.data()), int(coded.size()));
  if (length < 0) throw input_error("tokenizer.json", "expected base64");
  const auto padding = std::size_t(coded.ends_with("==") ? 2 : coded.ends_with("=") ? 1 : 0);
  bytes.resize(std::size_t(length) - padding);
  return bytes;
}

Prepend read_prepend(const json& rule) {
  const std::string scheme =
      text_or(rule, "prepend_scheme", flag_or(rule, "add_prefix_space", true) ? "always" : "never");
  if (scheme == "always") return Prepend::always;
  if (scheme == "first") return Prepend::first;
  if (scheme == "never") return Prepend::never;
  refuse("prepend_scheme", scheme);
}

// Punctuation is what is_punctuation() says.
constexpr const char* kPunctuation = R"([\p{P}!-/:-@\[-`{-~])";
constexpr const char* kWhiteSpace = R"(\s)";
constexpr const char* kWhitespaceWords = R"(\w+|[^\w\s]+)";

void add_punctuation(const std::string& behavior, TokenizerData& data) {
  SplitStep step{.source = kPunctuation, .behavior = read_behavior(behavior)};
  if (step.behavior == SplitBehavior::contiguous) {  // the same words as runs that stand alone
    step.source += '+';
    step.behavior = SplitBehavior::isolated;
  }
  data.split.push_back(step);
}

}  // namespace

void read_normalizer(const json& rule, TokenizerData& data) {
  using Kind = NormalizeStep::Kind;
  const std::string type = text(rule, "type");
  const auto add = [&](NormalizeStep step) { data.normalize.push_back(std::move(step)); };
  if (type == "Sequence") {
    for (const json& inner : member(rule, "normalizers")) read_normalizer(inner, data);
  } else if (type == "NFC") {
    add({.kind = Kind::form, .form = NormalForm::nfc});
  } else if (type == "NFD") {
    add({.kind = Kind::form, .form = NormalForm::nfd});
  } else if (type == "NFKC") {
    add({.kind = Kind::form, .form = NormalForm::nfkc});
  } else if (type == "NFKD") {
    add({.kind = Kind::form, .form = NormalForm::nfkd});
  } else if (type == "Lowercase") {
    add({.kind = Kind::lowercase});
  } else if (type == "StripAccents") {
    add({.kind = Kind::strip_accents});
  } else if (type == "Strip") {
    add({.kind = Kind::strip, .left = flag_or(rule, "strip_left", true), .right = flag_or(rule, "strip_right", true)});
  } else if (type == "Prepend") {
    add({.kind = Kind::prepend, .text = text(rule, "prepend")});
  } else if (type == "Replace") {
    NormalizeStep step{.kind = Kind::replace, .content = text(rule, "content")};
    read_pattern(rule, step.text, step.is_regex);
    add(std::move(step));
  } else if (type == "Precompiled") {
    const std::string map = from_base64(text_or(rule, "precompiled_charsmap", ""));
    if (!map.empty()) add({.kind = Kind::charsmap, .text = map});
  } else if (type == "BertNormalizer") {
    const bool lower = flag_or(rule, "lowercase", true);
    add({.kind = Kind::bert,
         .clean = flag_or(rule, "clean_text", true),
         .chinese = flag_or(rule, "handle_chinese_chars", true),
         .accents = flag_or(rule, "strip_accents", lower),
         .lowercase = lower});
  } else {
    refuse("normalizer", type);
  }
}

void read_pretokenizer(const json& rule, TokenizerData& data) {
  using Kind = SplitStep::Kind;
  const std::string type = text(rule, "type");
  const auto add = [&](SplitStep step) { data.split.push_back(std::move(step)); };
  if (type == "Sequence") {
    for (const json& inner : member(rule, "pretokenizers")) read_pretokenizer(inner, data);
  } else if (type == "Split") {
    SplitStep step{.invert = flag_or(rule, "invert", false), .behavior = read_behavior(text(rule, "behavior"))};
    read_pattern(rule, step.source, step.is_regex);
    add(std::move(step));
  } else if (type == "Digits") {
    add({.source = flag_or(rule, "individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)"});
  } else if (type == "ByteLevel") {
    data.model = VocabModel::byte_bpe;
    if (flag_or(rule, "add_prefix_space", true)) add({.kind = Kind::prefix_space});
    if (flag_or(rule, "use_regex", true)) add({.source = std::string(kGpt2Pattern)});
    add({.kind = Kind::spelled_bytes});
  } else if (type == "Punctuation") {
    add_punctuation(text_or(rule, "behavior", "Isolated"), data);
  } else if (type == "Metaspace") {
    add({.kind = Kind::metaspace,
         .source = text_or(rule, "replacement", "▁"),
         .prepend = read_prepend(rule),
         .split = flag_or(rule, "split", true)});
  } else if (type == "WhitespaceSplit") {
    add({.source = kWhiteSpace, .behavior = SplitBehavior::removed});
  } else if (type == "Whitespace") {
    add({.source = kWhitespaceWords, .invert = true, .behavior = SplitBehavior::removed});
  } else if (type == "CharDelimiterSplit") {
    add({.source = text(rule, "delimiter"), .is_regex = false, .behavior = SplitBehavior::removed});
  } else if (type == "BertPreTokenizer") {
    add({.kind = Kind::bert});
  } else {
    refuse("pre_tokenizer", type);
  }
}

void read_decoder(const json& rule, TokenizerData& data) {
  using Kind = DecodeStep::Kind;
  const std::string type = text(rule, "type");
  const auto add = [&](DecodeStep step) { data.decode.push_back(std::move(step)); };
  if (type == "Sequence") {
    for (const json& inner : member(rule, "decoders")) read_decoder(inner, data);
  } else if (type == "ByteLevel") {
    add({.kind = Kind::byte_level});
  } else if (type == "ByteFallback") {
    add({.kind = Kind::byte_fallback});
  } else if (type == "Fuse") {
    add({.kind = Kind::fuse});
  } else if (type == "Strip") {
    add({.kind = Kind::strip,
         .text = text(rule, "content"),
         .start = count_or(rule, "start", 0),
         .stop = count_or(rule, "stop", 0)});
  } else if (type == "Replace") {
    DecodeStep step{.kind = Kind::replace, .content = text(rule, "content")};
    read_pattern(rule, step.text, step.is_regex);
    add(std::move(step));
  } else if (type == "Metaspace") {
    add({.kind = Kind::metaspace,
         .text = text_or(rule, "replacement", "▁"),
         .first_mark_is_prefix = read_prepend(rule) != Prepend::never});
  } else if (type == "WordPiece") {
    add({.kind = Kind::wordpiece, .text = text_or(rule, "prefix", "##"), .cleanup = flag_or(rule, "cleanup", true)});
  } else {
    refuse("decoder", type);
  }
}

namespace {

Token checked_token(const json& id, const TokenizerData& data) {
  if (!id.is_number_integer() || id < 0 || id >= data.size())
    throw input_error("tokenizer.json", "expected a token id below {} in post_processor", data.size());
  return id.get<Token>();
}

// ["[CLS]", 101]
Token named_token(const json& rule, const char* key, const TokenizerData& data) {
  const json& pair = member(rule, key);
  if (!pair.is_array() || pair.size() != 2) throw input_error("tokenizer.json", "expected {} to be a pair", key);
  return checked_token(pair[1], data);
}

void read_template_items(const json& rule, TokenizerData& data) {
  std::vector<Token> before, after;
  bool seen_text = false;
  for (const json& item : member(rule, "single")) {
    if (find_member(item, "Sequence")) {
      seen_text = true;
      continue;
    }
    const std::string name = text(member(item, "SpecialToken"), "id");
    for (const json& id : member(member(member(rule, "special_tokens"), name.c_str()), "ids"))
      (seen_text ? after : before).push_back(checked_token(id, data));
  }
  data.before.insert(data.before.begin(), before.begin(), before.end());
  data.after.insert(data.after.end(), after.begin(), after.end());
}

}  // namespace

void read_template(const json& rule, TokenizerData& data) {
  const std::string type = text(rule, "type");
  if (type == "Sequence") {
    for (const json& inner : member(rule, "processors")) read_template(inner, data);
  } else if (type == "TemplateProcessing") {
    read_template_items(rule, data);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    data.before.insert(data.before.begin(), named_token(rule, "cls", data));
    data.after.push_back(named_token(rule, "sep", data));
  } else if (type != "ByteLevel") {
    refuse("post_processor", type);
  }
}

}  // namespace pith::tokenizer_json
