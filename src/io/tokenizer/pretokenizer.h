// Cutting text into words before a vocabulary is applied: regular expressions (PCRE2) and the rules that
// tokenizer.json and tokenizer.ggml.pre name.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"

struct pcre2_real_code_8;

namespace pith {

// A compiled pattern, or a literal string. Immutable, so that threads can share it.
class Pattern {
 public:
  struct Match {
    std::size_t begin, end;
  };

  // Regular expressions are read as Oniguruma with Unicode classes reads them. Error(input) names the fault.
  static Pattern regex(std::string_view source);
  static Pattern literal(std::string_view text);

  // Successive matches in valid UTF-8. Error(input) when the text costs the pattern too much backtracking.
  std::vector<Match> find_all(std::string_view text) const;
  std::string replace_all(std::string_view text, std::string_view with) const;

 private:
  friend class PatternRun;
  struct CodeFree {
    void operator()(pcre2_real_code_8* code) const;
  };
  std::string literal_;  // when there is no code
  std::unique_ptr<pcre2_real_code_8, CodeFree> code_;
};

// One thread's use of a pattern: the matcher's memory, set up once for many texts.
class PatternRun {
 public:
  explicit PatternRun(const Pattern& pattern);
  ~PatternRun();
  void find_all(std::string_view text, std::vector<Pattern::Match>& matches);  // replaces `matches`

 private:
  struct Memory;
  const Pattern& pattern_;
  std::unique_ptr<Memory> memory_;
};

enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };
enum class Prepend { never, first, always };  // before the first piece of the text, or before every piece

// One rule. Several kinds of tokenizer.json are the same rule: Digits, Punctuation and WhitespaceSplit are
// patterns, and ByteLevel is a prefix space, its pattern and spelled bytes, as far as it wants them.
struct SplitStep {
  // spelled_bytes: what follows sees the bytes in the byte alphabet.
  enum class Kind { pattern, prefix_space, spelled_bytes, metaspace, bert } kind = Kind::pattern;
  std::string source = {};  // pattern: the expression; metaspace: what stands for a space
  bool is_regex = true;     // else `source` is literal
  bool invert = false;      // pattern: what lies between the matches counts as matched
  SplitBehavior behavior = SplitBehavior::isolated;
  Prepend prepend = Prepend::always;  // metaspace
  bool split = true;                  // metaspace: cut before each mark
  bool operator==(const SplitStep&) const = default;
};

// The pattern of GPT-2, which ByteLevel brings along.
extern const std::string_view kGpt2Pattern;

class Pretokenizer {
 public:
  explicit Pretokenizer(const std::vector<SplitStep>& steps);

  // Where words that are not parts of the text itself are kept.
  using Storage = std::deque<std::string>;
  // The words of valid UTF-8 in order (after spelled_bytes they may end inside a character). at_start: the
  // text begins the whole input.
  void split(std::string_view text, bool at_start, std::vector<std::string_view>& words, Storage& storage) const;

 private:
  struct Step {
    SplitStep rule;
    std::unique_ptr<Pattern> pattern;
  };
  std::vector<Step> steps_;
};

// What a name in tokenizer.ggml.pre stands for.
struct PreRules {
  std::vector<std::string_view> names = {};  // the first is the one to write
  std::vector<std::string_view> patterns = {};
  bool nfc = false;  // the vocabulary was trained on composed characters
  bool ignore_merges = false;
  bool spelled = false;  // the patterns after the first two see spelled bytes
  std::vector<SplitStep> steps() const;
};
const std::vector<PreRules>& pre_rules();
const PreRules* find_pre_rules(std::string_view name);  // null when unknown

}  // namespace pith
