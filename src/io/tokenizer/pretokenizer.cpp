#include "io/tokenizer/pretokenizer.h"

#include "core/error.h"
#include "io/unicode.h"

namespace pith {

const std::string_view kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

using Words = std::vector<std::string_view>;

// A stretch of the text that the pattern matched, or one between matches; may be empty where a match is.
struct Part {
  std::size_t begin, end;
  bool matched;
};

void cover(std::size_t size, const std::vector<Pattern::Match>& matches, bool invert, std::vector<Part>& parts) {
  parts.clear();
  std::size_t at = 0;
  for (const auto& match : matches) {
    if (match.begin > at) parts.push_back({at, match.begin, invert});
    parts.push_back({match.begin, match.end, !invert});
    at = match.end;
  }
  if (at < size) parts.push_back({at, size, invert});
}

void add(std::string_view text, std::size_t begin, std::size_t end, Words& words) {
  if (end > begin) words.push_back(text.substr(begin, end - begin));
}

// A part joins the one before it when `joins` says so.
template <class Joins>
void add_joined(std::string_view text, const std::vector<Part>& parts, Joins joins, Words& words) {
  for (std::size_t i = 0; i < parts.size();) {
    std::size_t last = i;
    while (last + 1 < parts.size() && joins(parts[last], parts[last + 1])) ++last;
    add(text, parts[i].begin, parts[last].end, words);
    i = last + 1;
  }
}

void add_parts(std::string_view text, const std::vector<Part>& parts, SplitBehavior behavior, Words& words) {
  switch (behavior) {
    case SplitBehavior::removed:
      for (const Part& p : parts)
        if (!p.matched) add(text, p.begin, p.end, words);
      return;
    case SplitBehavior::isolated:
      for (const Part& p : parts) add(text, p.begin, p.end, words);
      return;
    case SplitBehavior::contiguous:
      return add_joined(
          text, parts, [](const Part& a, const Part& b) { return a.matched == b.matched; }, words);
    case SplitBehavior::merged_with_previous:
      return add_joined(
          text, parts, [](const Part& a, const Part& b) { return !a.matched && b.matched; }, words);
    case SplitBehavior::merged_with_next:
      return add_joined(
          text, parts, [](const Part& a, const Part& b) { return a.matched && !b.matched; }, words);
  }
}

std::string_view keep(std::string text, Pretokenizer::Storage& storage) {
  storage.push_back(std::move(text));
  return storage.back();
}

// Spaces become marks, one may be put in front, and words begin at marks.
void split_at_marks(std::string_view text, const SplitStep& rule, bool at_start, Words& words,
                    Pretokenizer::Storage& storage) {
  const bool starts = text.starts_with(' ') || text.starts_with(rule.source);
  const bool prefix = !starts && (rule.prepend == Prepend::always || (rule.prepend == Prepend::first && at_start));
  std::string marked = prefix ? rule.source : "";
  for (const char c : text) {
    if (c == ' ') {
      marked += rule.source;
    } else {
      marked += c;
    }
  }
  const std::string_view kept = keep(std::move(marked), storage);
  std::size_t begin = 0;
  while (rule.split && begin < kept.size()) {
    const std::size_t next = kept.find(rule.source, begin + 1);
    if (next == std::string_view::npos) break;
    add(kept, begin, next, words);
    begin = next;
  }
  add(kept, begin, kept.size(), words);
}

// BERT: white space is dropped, punctuation stands alone.
void split_bert(std::string_view text, Words& words) {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    const std::size_t next = at + std::size_t(c.bytes);
    const bool punctuation = is_punctuation(c.value);
    if (punctuation || is_white_space(c.value)) {
      add(text, begin, at, words);
      if (punctuation) add(text, at, next, words);
      begin = next;
    }
    at = next;
  }
  add(text, begin, text.size(), words);
}

void split_by_pattern(const Words& words, const SplitStep& rule, const Pattern& pattern, Words& out) {
  PatternRun run(pattern);
  std::vector<Pattern::Match> matches;
  std::vector<Part> parts;
  for (const std::string_view word : words) {
    run.find_all(word, matches);
    cover(word.size(), matches, rule.invert, parts);
    add_parts(word, parts, rule.behavior, out);
  }
}

void split_by_rule(std::string_view word, const SplitStep& rule, bool at_start, Words& out,
                   Pretokenizer::Storage& storage) {
  switch (rule.kind) {
    case SplitStep::Kind::pattern:
      return;
    case SplitStep::Kind::prefix_space:
      return out.push_back(word.starts_with(' ') ? word : keep(" " + std::string(word), storage));
    case SplitStep::Kind::spelled_bytes:
      return out.push_back(keep(spell_bytes(word), storage));
    case SplitStep::Kind::metaspace:
      return split_at_marks(word, rule, at_start, out, storage);
    case SplitStep::Kind::bert:
      return split_bert(word, out);
  }
}

}  // namespace

Pretokenizer::Pretokenizer(const std::vector<SplitStep>& steps) {
  for (const SplitStep& rule : steps) {
    Step step{rule, nullptr};
    if (rule.kind == SplitStep::Kind::pattern) {
      step.pattern =
          std::make_unique<Pattern>(rule.is_regex ? Pattern::regex(rule.source) : Pattern::literal(rule.source));
    }
    if (rule.kind == SplitStep::Kind::metaspace && rule.source.empty())
      throw input_error("tokenizer", "expected a character that stands for a space, got none");
    steps_.push_back(std::move(step));
  }
}

void Pretokenizer::split(std::string_view text, bool at_start, Words& words, Storage& storage) const {
  words.assign(text.empty() ? 0 : 1, text);
  bool spelled = false;
  Words next;
  for (const Step& step : steps_) {
    next.clear();
    if (step.pattern) {
      split_by_pattern(words, step.rule, *step.pattern, next);
    } else {
      for (const std::string_view word : words) {
        const bool first = at_start && word.data() == words.front().data();
        split_by_rule(word, step.rule, first, next, storage);
      }
      spelled |= step.rule.kind == SplitStep::Kind::spelled_bytes;
    }
    words.swap(next);
  }
  if (!spelled) return;
  for (std::string_view& word : words) word = keep(bytes_of_spelling(word), storage);
}

}  // namespace pith
