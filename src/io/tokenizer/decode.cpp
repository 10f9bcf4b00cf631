// Tokens back to text: the decoders of tokenizer.json, applied to the spellings one after the other.
#include <algorithm>

#include "io/tokenizer/normalize.h"

namespace pith {

namespace {

using Kind = DecodeStep::Kind;
using Pieces = std::vector<std::string>;

void decode_byte_level(Pieces& pieces) {
  std::string text;
  for (const std::string& piece : pieces) text += bytes_of_spelling(piece);  // added tokens stay
  pieces.assign(1, replace_invalid_utf8(text));
}

// Runs of <0xNN> become their bytes where these are UTF-8, else one U+FFFD for each byte.
void decode_byte_fallback(Pieces& pieces) {
  Pieces out;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (valid_utf8_prefix(bytes) == bytes.size()) {
      out.push_back(bytes);
    } else {
      out.insert(out.end(), bytes.size(), "\uFFFD");
    }
    bytes.clear();
  };
  for (std::string& piece : pieces) {
    const int byte = byte_of_token(piece);
    if (byte >= 0) {
      bytes += char(byte);
      continue;
    }
    flush();
    out.push_back(std::move(piece));
  }
  flush();
  pieces = std::move(out);
}

void decode_fuse(Pieces& pieces) {
  std::string text;
  for (const std::string& piece : pieces) text += piece;
  pieces.assign(1, std::move(text));
}

void decode_strip(Pieces& pieces, const DecodeStep& rule) {
  if (rule.text.empty()) return;
  for (std::string& piece : pieces) {
    std::string_view rest = piece;
    for (dim i = 0; i < rule.start && rest.starts_with(rule.text); ++i) rest.remove_prefix(rule.text.size());
    for (dim i = 0; i < rule.stop && rest.ends_with(rule.text); ++i) rest.remove_suffix(rule.text.size());
    piece = std::string(rest);
  }
}

void decode_metaspace(Pieces& pieces, const DecodeStep& rule) {
  const Pattern mark = Pattern::literal(rule.text);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    std::string_view piece = pieces[i];
    if (i == 0 && rule.first_mark_is_prefix && piece.starts_with(rule.text)) piece.remove_prefix(rule.text.size());
    pieces[i] = mark.replace_all(piece, " ");
  }
}

std::string clean_english(std::string text) {
  static constexpr std::string_view kRules[][2] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& rule : kRules) text = Pattern::literal(rule[0]).replace_all(text, rule[1]);
  return text;
}

void decode_wordpiece(Pieces& pieces, const DecodeStep& rule) {
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (i > 0) {
      const bool tail = pieces[i].starts_with(rule.text);
      pieces[i] = tail ? pieces[i].substr(rule.text.size()) : " " + pieces[i];
    }
    if (rule.cleanup) pieces[i] = clean_english(std::move(pieces[i]));
  }
}

}  // namespace

Decoder::Decoder(const std::vector<DecodeStep>& steps, bool join_by_space) : join_by_space_(join_by_space) {
  for (const DecodeStep& rule : steps) {
    Step step{rule, nullptr};
    if (rule.kind == Kind::replace)
      step.pattern = std::make_unique<Pattern>(rule.is_regex ? Pattern::regex(rule.text) : Pattern::literal(rule.text));
    steps_.push_back(std::move(step));
  }
}

std::string Decoder::apply(Pieces pieces) const {
  for (const Step& step : steps_) {
    switch (step.rule.kind) {
      case Kind::byte_level:
        decode_byte_level(pieces);
        break;
      case Kind::byte_fallback:
        decode_byte_fallback(pieces);
        break;
      case Kind::fuse:
        decode_fuse(pieces);
        break;
      case Kind::strip:
        decode_strip(pieces, step.rule);
        break;
      case Kind::replace:
        for (std::string& piece : pieces) piece = step.pattern->replace_all(piece, step.rule.content);
        break;
      case Kind::metaspace:
        decode_metaspace(pieces, step.rule);
        break;
      case Kind::wordpiece:
        decode_wordpiece(pieces, step.rule);
        break;
    }
  }
  std::string text;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (i > 0 && join_by_space_) text += ' ';
    text += pieces[i];
  }
  return text;
}

}  // namespace pith
