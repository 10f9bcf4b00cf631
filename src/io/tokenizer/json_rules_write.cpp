// The rules of a tokenizer.json, written.
#include <openssl/evp.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "io/tokenizer/json.h"

namespace pith::tokenizer_json {

using nlohmann::json;

namespace {

json pattern_json(const std::string& source, bool is_regex) { return {{is_regex ? "Regex" : "String", source}}; }

const char* behavior_name(SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::removed:
      return "Removed";
    case SplitBehavior::isolated:
      return "Isolated";
    case SplitBehavior::merged_with_previous:
      return "MergedWithPrevious";
    case SplitBehavior::merged_with_next:
      return "MergedWithNext";
    case SplitBehavior::contiguous:
      return "Contiguous";
  }
  return "Isolated";
}

std::string to_base64(const std::string& bytes) {
  std::string coded((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(coded.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()), int(bytes.size()));
  coded.resize(std::size_t(length));
  return coded;
}

}  // namespace

json normalizer_json(const std::vector<NormalizeStep>& steps) {
  using Kind = NormalizeStep::Kind;
  static constexpr const char* kForms[] = {"NFC", "NFD", "NFKC", "NFKD"};
  json rules = json::array();
  for (const NormalizeStep& step : steps) {
    switch (step.kind) {
      case Kind::form:
        rules.push_back({{"type", kForms[int(step.form)]}});
        break;
      case Kind::lowercase:
        rules.push_back({{"type", "Lowercase"}});
        break;
      case Kind::strip_accents:
        rules.push_back({{"type", "StripAccents"}});
        break;
      case Kind::strip:
        rules.push_back({{"type", "Strip"}, {"strip_left", step.left}, {"strip_right", step.right}});
        break;
      case Kind::prepend:
        rules.push_back({{"type", "Prepend"}, {"prepend", step.text}});
        break;
      case Kind::replace:
        rules.push_back(
            {{"type", "Replace"}, {"pattern", pattern_json(step.text, step.is_regex)}, {"content", step.content}});
        break;
      case Kind::bert:
        rules.push_back({{"type", "BertNormalizer"},
                         {"clean_text", step.clean},
                         {"handle_chinese_chars", step.chinese},
                         {"strip_accents", step.accents},
                         {"lowercase", step.lowercase}});
        break;
      case Kind::charsmap:
        rules.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(step.text)}});
        break;
      case Kind::squeeze:
        rules.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
        rules.push_back({{"type", "Replace"}, {"pattern", pattern_json(" {2,}", true)}, {"content", " "}});
        break;
    }
  }
  if (rules.empty()) return nullptr;
  return rules.size() == 1 ? rules[0] : json{{"type", "Sequence"}, {"normalizers", rules}};
}

json pretokenizer_json(const TokenizerData& data) {
  using Kind = SplitStep::Kind;
  static constexpr const char* kSchemes[] = {"never", "first", "always"};
  const auto byte_level = [](bool prefix) {
    return json{{"type", "ByteLevel"}, {"add_prefix_space", prefix}, {"trim_offsets", true}, {"use_regex", false}};
  };
  json rules = json::array();
  bool spelled = false, prefix = false;
  for (const SplitStep& step : data.split) {
    switch (step.kind) {
      case Kind::pattern:
        rules.push_back({{"type", "Split"},
                         {"pattern", pattern_json(step.source, step.is_regex)},
                         {"behavior", behavior_name(step.behavior)},
                         {"invert", step.invert}});
        break;
      case Kind::prefix_space:
        prefix = true;
        break;
      case Kind::spelled_bytes:
        rules.push_back(byte_level(std::exchange(prefix, false)));
        spelled = true;
        break;
      case Kind::metaspace:
        rules.push_back({{"type", "Metaspace"},
                         {"replacement", step.source},
                         {"prepend_scheme", kSchemes[int(step.prepend)]},
                         {"split", step.split}});
        break;
      case Kind::bert:
        rules.push_back({{"type", "BertPreTokenizer"}});
        break;
    }
  }
  if (data.model == VocabModel::byte_bpe && !spelled) rules.push_back(byte_level(prefix));
  if (rules.empty()) return nullptr;
  return rules.size() == 1 ? rules[0] : json{{"type", "Sequence"}, {"pretokenizers", rules}};
}

json decoder_json(const TokenizerData& data) {
  using Kind = DecodeStep::Kind;
  json rules = json::array();
  for (const DecodeStep& step : data.decode) {
    switch (step.kind) {
      case Kind::byte_level:
        rules.push_back(
            {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}});
        break;
      case Kind::byte_fallback:
        rules.push_back({{"type", "ByteFallback"}});
        break;
      case Kind::fuse:
        rules.push_back({{"type", "Fuse"}});
        break;
      case Kind::strip:
        rules.push_back({{"type", "Strip"}, {"content", step.text}, {"start", step.start}, {"stop", step.stop}});
        break;
      case Kind::replace:
        rules.push_back(
            {{"type", "Replace"}, {"pattern", pattern_json(step.text, step.is_regex)}, {"content", step.content}});
        break;
      case Kind::metaspace:
        rules.push_back({{"type", "Metaspace"},
                         {"replacement", step.text},
                         {"prepend_scheme", step.first_mark_is_prefix ? "always" : "never"},
                         {"split", true}});
        break;
      case Kind::wordpiece:
        rules.push_back({{"type", "WordPiece"}, {"prefix", step.text}, {"cleanup", step.cleanup}});
        break;
    }
  }
  if (rules.empty()) return nullptr;
  return rules.size() == 1 ? rules[0] : json{{"type", "Sequence"}, {"decoders", rules}};
}

}  // namespace pith::tokenizer_json
