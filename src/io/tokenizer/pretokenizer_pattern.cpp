// Patterns: the dialect of tokenizer files put into PCRE2's words, compiled and run with limits.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <memory>
#include <new>

#include "core/error.h"
#include "io/tokenizer/pretokenizer.h"
#include "io/unicode.h"

namespace pith {

namespace {

constexpr std::size_t kMaxPatternBytes = 1 << 16;
constexpr std::uint32_t kMatchLimit = 10'000'000;  // backtracking steps of one match
constexpr std::uint32_t kDepthLimit = 100'000;     // where there is no just-in-time code
constexpr std::size_t kJitStackBytes = std::size_t(8) << 20;

// PCRE2 counts U+180E as white space, Unicode and Oniguruma do not.
constexpr std::string_view kSpaceClass = R"(\p{Z}\x09-\x0d\x{85})";

[[noreturn]] void refuse(std::string_view source, std::string_view why) {
  throw Error(Blame::input, "tokenizer pattern",
              fmt::format("expected a regular expression, got {}: {}", source.substr(0, 200), why));
}

// Oniguruma -> PCRE2: \s, \S and \h; "[a[b]]" becomes "[ab]" and "[a&&[^b]]" becomes "(?:(?![b])[a])".
class Translator {
 public:
  explicit Translator(std::string_view source) : source_(source) {}

  std::string run() {
    std::string out;
    while (at_ < source_.size()) {
      if (source_[at_] == '\\') {
        out += escape(false);
      } else if (source_[at_] == '[') {
        out += char_class();
      } else {
        out += source_[at_++];
      }
    }
    return out;
  }

 private:
  std::string escape(bool in_class) {
    if (at_ + 1 >= source_.size()) refuse(source_, "it ends in a backslash");
    const char c = source_[at_ + 1];
    at_ += 2;
    if (c == 's') return in_class ? std::string(kSpaceClass) : fmt::format("[{}]", kSpaceClass);
    if (c == 'S' && !in_class) return fmt::format("[^{}]", kSpaceClass);
    if (c == 'h') return in_class ? "0-9a-fA-F" : "[0-9a-fA-F]";
    return {'\\', c};
  }

  // at_ is at '['.
  std::string char_class() {
    ++at_;
    std::string head = "[";
    if (at_ < source_.size() && source_[at_] == '^') head += source_[at_++];
    std::string body;
    while (at_ < source_.size()) {
      const std::string_view rest = source_.substr(at_);
      if (rest[0] == ']' && !body.empty()) {
        ++at_;
        return head + body + "]";
      }
      if (rest.starts_with("&&[^") && head == "[") return subtract(body);
      if (rest.starts_with("&&")) refuse(source_, "this intersection of classes is not supported");
      if (rest.starts_with("[:")) {
        const std::size_t close = rest.find(":]");
        if (close == std::string_view::npos) refuse(source_, "a named class is not closed");
        body += rest.substr(0, close + 2);
        at_ += close + 2;
      } else if (rest[0] == '[') {
        body += nested();
      } else if (rest[0] == '\\') {
        body += escape(true);
      } else {
        body += rest[0];
        ++at_;
      }
    }
    refuse(source_, "a class is not closed");
  }

  // at_ is at the '[' of a class in a class: their union.
  std::string nested() {
    ++at_;
    std::string body;
    while (at_ < source_.size() && source_[at_] != ']') {
      if (source_[at_] == '[' || (body.empty() && source_[at_] == '^') || source_.substr(at_).starts_with("&&"))
        refuse(source_, "this class in a class is not supported");
      body += source_[at_] == '\\' ? escape(true) : std::string(1, source_[at_++]);
    }
    if (at_ == source_.size()) refuse(source_, "a class is not closed");
    ++at_;
    return body;
  }

  // at_ is at "&&[^".
  std::string subtract(const std::string& body) {
    at_ += 4;
    std::string removed;
    while (at_ < source_.size() && source_[at_] != ']') {
      if (source_[at_] == '[') refuse(source_, "nested classes are not supported");
      removed += source_[at_] == '\\' ? escape(true) : std::string(1, source_[at_++]);
    }
    if (source_.substr(at_, 2) != "]]" || removed.empty()) refuse(source_, "this intersection is not supported");
    at_ += 2;
    return fmt::format("(?:(?![{}])[{}])", removed, body);
  }

  std::string_view source_;
  std::size_t at_ = 0;
};

template <class T, void (*destroy)(T*)>
struct Destroy {
  void operator()(T* p) const { destroy(p); }
};
template <class T, void (*destroy)(T*)>
using Owned = std::unique_ptr<T, Destroy<T, destroy>>;

std::string message_of(int code) {
  PCRE2_UCHAR text[200] = {};
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

void find_literal(std::string_view text, std::string_view literal, std::vector<Pattern::Match>& matches) {
  if (literal.empty()) return;
  for (std::size_t at = text.find(literal); at != std::string_view::npos; at = text.find(literal, at)) {
    matches.push_back({at, at + literal.size()});
    at += literal.size();
  }
}

}  // namespace

void Pattern::CodeFree::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

Pattern Pattern::regex(std::string_view source) {
  if (source.size() > kMaxPatternBytes) refuse(source, "it is too long");
  if (valid_utf8_prefix(source) != source.size()) refuse(source, "it is not UTF-8");
  const std::string translated = Translator(source).run();
  const Owned<pcre2_compile_context, pcre2_compile_context_free> context(pcre2_compile_context_create(nullptr));
  if (!context) throw std::bad_alloc();
  pcre2_set_parens_nest_limit(context.get(), 100);
  int fault = 0;
  PCRE2_SIZE where = 0;
  Pattern pattern;
  pattern.code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &fault, &where,
                                    context.get()));
  if (!pattern.code_) refuse(source, message_of(fault));
  pcre2_jit_compile(pattern.code_.get(), PCRE2_JIT_COMPLETE);  // where it fails the interpreter runs
  return pattern;
}

Pattern Pattern::literal(std::string_view text) {
  Pattern pattern;
  pattern.literal_ = text;
  return pattern;
}

struct PatternRun::Memory {
  Owned<pcre2_match_data, pcre2_match_data_free> data{pcre2_match_data_create(1, nullptr)};
  Owned<pcre2_match_context, pcre2_match_context_free> context{pcre2_match_context_create(nullptr)};
  Owned<pcre2_jit_stack, pcre2_jit_stack_free> stack{pcre2_jit_stack_create(32 << 10, kJitStackBytes, nullptr)};
};

PatternRun::PatternRun(const Pattern& pattern) : pattern_(pattern) {
  if (!pattern.code_) return;
  memory_ = std::make_unique<Memory>();
  if (!memory_->data || !memory_->context) throw std::bad_alloc();
  pcre2_set_match_limit(memory_->context.get(), kMatchLimit);
  pcre2_set_depth_limit(memory_->context.get(), kDepthLimit);
  if (memory_->stack) pcre2_jit_stack_assign(memory_->context.get(), nullptr, memory_->stack.get());
}

PatternRun::~PatternRun() = default;

void PatternRun::find_all(std::string_view text, std::vector<Pattern::Match>& matches) {
  matches.clear();
  if (!memory_) return find_literal(text, pattern_.literal_, matches);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(memory_->data.get());
  std::size_t at = 0;
  std::size_t last_end = std::string_view::npos;
  while (at <= text.size()) {
    const int found = pcre2_match(pattern_.code_.get(), subject, text.size(), at, PCRE2_NO_UTF_CHECK,
                                  memory_->data.get(), memory_->context.get());
    if (found == PCRE2_ERROR_NOMATCH) return;
    if (found < 0)
      throw input_error("tokenizer pattern", "the text near byte {} is too costly for it: {}", at, message_of(found));
    const Pattern::Match match{bounds[0], bounds[1]};
    if (match.begin > match.end || match.begin < at)
      throw input_error("tokenizer pattern", "expected matches in order; a \\K moves one back");
    if (match.end > match.begin || match.end != last_end) matches.push_back(match);
    last_end = match.end;
    at = match.end;
    if (match.end == match.begin) at += at < text.size() ? std::size_t(decode_utf8(text, at).bytes) : 1;
  }
}

std::vector<Pattern::Match> Pattern::find_all(std::string_view text) const {
  std::vector<Match> matches;
  PatternRun(*this).find_all(text, matches);
  return matches;
}

std::string Pattern::replace_all(std::string_view text, std::string_view with) const {
  const std::vector<Match> matches = find_all(text);
  if (matches.empty()) return std::string(text);
  std::string out;
  out.reserve(text.size());
  std::size_t at = 0;
  for (const Match& match : matches) {
    out += text.substr(at, match.begin - at);
    out += with;
    at = match.end;
  }
  out += text.substr(at);
  return out;
}

}  // namespace pith
