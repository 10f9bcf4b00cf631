#include "io/tokenizer/normalize.h"

#include "core/error.h"

namespace pith {

namespace {

using Kind = NormalizeStep::Kind;

template <class Visit>
void each_character(std::string_view text, Visit visit) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    visit(c.value);
    at += std::size_t(c.bytes);
  }
}

std::string lowercase(std::string_view text) {
  std::string out;
  each_character(text, [&](char32_t c) { append_lowercase(out, c); });
  return out;
}

std::string without_accents(std::string_view text) {
  std::string out;
  each_character(text, [&](char32_t c) {
    if (!is_nonspacing_mark(c)) append_utf8(out, c);
  });
  return out;
}

std::string strip(std::string_view text, bool left, bool right) {
  std::size_t begin = text.size(), end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    const std::size_t next = at + std::size_t(c.bytes);
    if (!is_white_space(c.value)) {
      begin = std::min(begin, at);
      end = next;
    }
    at = next;
  }
  if (begin >= end) return left || right ? "" : std::string(text);
  if (!left) begin = 0;
  if (!right) end = text.size();
  return std::string(text.substr(begin, end - begin));
}

// One space for each run of them, none at the ends.
std::string squeeze(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

std::string bert(std::string_view text, const NormalizeStep& rule) {
  std::string out;
  each_character(text, [&](char32_t c) {
    if (rule.clean && (c == 0 || c == 0xFFFD)) return;
    if (rule.clean && is_white_space(c)) {
      out += ' ';
    } else if (rule.clean && is_control(c)) {
      return;
    } else if (rule.chinese && is_cjk_ideograph(c)) {
      out += ' ';
      append_utf8(out, c);
      out += ' ';
    } else {
      append_utf8(out, c);
    }
  });
  if (rule.accents) out = without_accents(normal_form(out, NormalForm::nfd));
  return rule.lowercase ? lowercase(out) : out;
}

std::string apply_rule(std::string_view text, const NormalizeStep& rule, const Pattern* pattern,
                       const Charsmap* charsmap) {
  switch (rule.kind) {
    case Kind::form:
      return normal_form(text, rule.form);
    case Kind::lowercase:
      return lowercase(text);
    case Kind::strip:
      return strip(text, rule.left, rule.right);
    case Kind::prepend:
      return text.empty() ? "" : rule.text + std::string(text);
    case Kind::replace:
      return pattern->replace_all(text, rule.content);
    case Kind::strip_accents:
      return without_accents(text);
    case Kind::bert:
      return bert(text, rule);
    case Kind::charsmap:
      return replace_invalid_utf8(charsmap->apply(text));
    case Kind::squeeze:
      return squeeze(text);
  }
  return std::string(text);
}

std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value |= std::uint32_t(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  return value;
}

}  // namespace

Charsmap::Charsmap(std::string_view compiled) {
  if (compiled.size() < 4)
    throw input_error("tokenizer", "expected a map of characters, got {} bytes", compiled.size());
  const std::size_t trie_bytes = little_endian(compiled, 0);
  if (trie_bytes % 4 != 0 || trie_bytes > compiled.size() - 4)
    throw input_error("tokenizer", "expected a map of characters whose trie fits, got {} bytes of {}", trie_bytes,
                      compiled.size());
  units_.resize(trie_bytes / 4);
  for (std::size_t i = 0; i < units_.size(); ++i) units_[i] = little_endian(compiled, 4 + 4 * i);
  strings_ = compiled.substr(4 + trie_bytes);
}

std::string Charsmap::apply(std::string_view text) const {
  // A unit of the double array: bit 8 says that a value hangs below, bits 10-30 are the offset (shifted by
  // 8 more when bit 9 is set), the low byte and the top bit are the label, and a value has 31 bits.
  const auto offset = [](std::uint32_t unit) { return std::size_t(unit >> 10 << ((unit & 1u << 9) >> 6)); };
  const auto longest_at = [&](std::size_t at, std::size_t& stop) -> std::size_t {
    std::size_t value = std::string::npos;
    if (units_.empty()) return value;
    std::size_t node = offset(units_[0]);
    while (at < text.size()) {
      const auto byte = std::uint32_t(static_cast<unsigned char>(text[at]));
      node ^= byte;
      if (byte == 0 || node >= units_.size() || (units_[node] & (1u << 31 | 0xFF)) != byte) break;
      const std::uint32_t unit = units_[node];
      node ^= offset(unit);
      ++at;
      if ((unit >> 8 & 1) == 0) continue;
      if (node >= units_.size()) break;
      value = units_[node] & ~(1u << 31);
      stop = at;
    }
    return value;
  };
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t stop = at;
    const std::size_t value = longest_at(at, stop);
    if (value >= strings_.size()) {
      const auto bytes = std::size_t(decode_utf8(text, at).bytes);
      out += text.substr(at, bytes);
      at += bytes;
      continue;
    }
    out += std::string_view(strings_).substr(value, strings_.find('\0', value) - value);
    at = stop;
    while (at < text.size() && (text[at] & 0xC0) == 0x80) ++at;  // a hostile map may end inside a character
  }
  return out;
}

Normalizer::Normalizer(const std::vector<NormalizeStep>& steps) {
  for (const NormalizeStep& rule : steps) {
    Step step{rule, nullptr, nullptr};
    if (rule.kind == Kind::replace)
      step.pattern = std::make_unique<Pattern>(rule.is_regex ? Pattern::regex(rule.text) : Pattern::literal(rule.text));
    if (rule.kind == Kind::charsmap) step.charsmap = std::make_unique<Charsmap>(rule.text);
    steps_.push_back(std::move(step));
  }
}

std::string Normalizer::apply(std::string_view text) const {
  std::string out(text);
  for (const Step& step : steps_) out = apply_rule(out, step.rule, step.pattern.get(), step.charsmap.get());
  return out;
}

}  // namespace pith
