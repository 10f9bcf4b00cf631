// What a tokenizer file says, free of its syntax. Readers fill it, writers and the engine read it.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/base.h"
#include "io/gguf.h"
#include "io/tokenizer/pretokenizer.h"
#include "io/unicode.h"

namespace pith {

// byte_bpe: tokens are spelled in the byte alphabet. char_bpe: tokens are characters and bytes <0xNN>.
enum class VocabModel { byte_bpe, char_bpe, unigram, wordpiece };

enum class TokenType : unsigned char { normal = 1, unknown, control, user_defined, unused, byte };  // GGUF's numbers

struct Merge {
  Token left, right, merged;  // a negative part is the character ~part, which is no token by itself
  dim rank;                   // lower first
};

struct AddedToken {
  Token id = -1;
  std::string content = {};
  bool special = false;
  bool normalized = false;   // looked for in the normalized text
  bool strip_left = false;   // takes the white space before it
  bool strip_right = false;  // and after it
  bool single_word = false;  // not inside a word
};

struct NormalizeStep {
  enum class Kind { form, lowercase, strip, prepend, replace, strip_accents, bert, charsmap, squeeze } kind;
  NormalForm form = NormalForm::nfc;
  std::string text = {};     // prepend: what; replace: the pattern; charsmap: SentencePiece's compiled map
  std::string content = {};  // replace: by what
  bool is_regex = false;
  bool left = true, right = true;                                       // strip: which ends
  bool clean = true, chinese = true, accents = true, lowercase = true;  // bert
  bool operator==(const NormalizeStep&) const = default;
};

struct DecodeStep {
  enum class Kind { byte_level, byte_fallback, fuse, strip, replace, metaspace, wordpiece } kind;
  std::string text = {};     // strip: the character; replace: the pattern; metaspace: the mark; wordpiece: the prefix
  std::string content = {};  // replace: by what
  bool is_regex = false;
  dim start = 0, stop = 0;            // strip: at most so many at each end
  bool first_mark_is_prefix = false;  // metaspace
  bool cleanup = false;               // wordpiece
};

struct TokenizerData {
  VocabModel model = VocabModel::byte_bpe;
  std::vector<std::string> tokens;  // as spelled in the file; holes are empty and unused
  std::vector<TokenType> types;     // one per token
  std::vector<float> scores;        // one per token, or none
  std::vector<Merge> merges;        // by rank
  std::vector<AddedToken> added;
  std::vector<NormalizeStep> normalize;
  std::vector<SplitStep> split;
  std::vector<DecodeStep> decode;
  bool decode_joins_by_space = false;  // a file without a decoder
  std::vector<Token> before, after;    // around a text
  Token bos = -1, eos = -1, unk = -1, pad = -1, sep = -1, cls = -1, mask = -1;
  std::vector<Token> more_ends;  // end-of-turn tokens the file names
  bool byte_fallback = false;
  bool fuse_unk = false;
  bool ignore_merges = false;      // a word that is a token is that token
  std::string word_prefix = "##";  // wordpiece: of what continues a word
  dim max_word_characters = 100;   // wordpiece
  std::string chat_template;
  std::string pre;          // tokenizer.ggml.pre, empty when no name is known for these rules
  std::string source_json;  // the tokenizer.json it came from
  std::string source_config;

  dim size() const { return dim(tokens.size()); }
};

// The byte of a token spelled <0xNN>, or -1.
int byte_of_token(std::string_view token);
std::string byte_token(int byte);

TokenizerData read_tokenizer_json(std::string_view json, std::string_view config);
std::string write_tokenizer_json(const TokenizerData& data);
std::string write_tokenizer_config(const TokenizerData& data);

TokenizerData read_tokenizer_gguf(const GgufMeta& meta);
// Padded with unused tokens to `rows`. Error(input) when GGUF has no words for the rules.
void write_tokenizer_gguf(const TokenizerData& data, dim rows, GgufMeta& meta);

// Of a vocabulary with merges: what no text can do without, then of `order` what fits into `most` tokens, each with
// those it is merged from. Ascending. Error(input) for other vocabularies and where there is no room.
std::vector<Token> select_tokens(const TokenizerData& data, std::span<const Token> order, dim most);
// With these tokens alone, ascending, whose ids become 0, 1, ...
TokenizerData reduce_tokenizer(TokenizerData data, std::span<const Token> kept);

// The name in tokenizer.ggml.pre that stands for the rules, or none.
std::string pre_name(const TokenizerData& data);

// The merges that a vocabulary with scores allows: two neighbours join where their text is a token, the
// token of the highest score first.
std::vector<Merge> merges_of_scores(const TokenizerData& data);
// And back, for merges that follow from the vocabulary; Error(input) when these do not.
std::vector<float> scores_of_merges(const TokenizerData& data);
void check_scores_say_the_merges(const TokenizerData& data, const std::vector<float>& scores);

}  // namespace pith
