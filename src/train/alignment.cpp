#include "train/alignment.h"

#include <algorithm>
#include <map>
#include <string>

#include "core/error.h"

namespace pith {

namespace {

constexpr dim kNowhere = -1;

// As it is written, also of a special token.
std::string text_of(const Tokenizer& tokenizer, Token token) {
  return tokenizer.is_special(token) ? tokenizer.decode(std::span(&token, 1), false) : tokenizer.piece(token);
}

class Aligner {
 public:
  Aligner(const Tokenizer& student, const Tokenizer& teacher)
      : student_(student), teacher_(teacher), ends_(student.end_tokens()) {}

  AlignedText align(std::span<const Token> tokens) {
    out_ = {};
    const bool has_bos = !tokens.empty() && tokens[0] == student_.bos();
    if (teacher_.adds_bos() && teacher_.bos() >= 0 && !has_bos) out_.tokens.push_back(teacher_.bos());
    for (std::size_t begin = 0; begin < tokens.size();) {
      if (student_.is_special(tokens[begin])) {
        special(tokens[begin++]);
        continue;
      }
      std::size_t end = begin;
      while (end < tokens.size() && !student_.is_special(tokens[end])) ++end;
      text(tokens.subspan(begin, end - begin));
      begin = end;
    }
    return std::move(out_);
  }

 private:
  dim last_place() const { return out_.tokens.empty() ? kNowhere : dim(out_.tokens.size()) - 1; }

  void special(Token token) {
    const std::string written = text_of(student_, token);
    const std::vector<Token> same = teacher_.encode(written, false, true);
    if (same.size() == 1 && teacher_.is_special(same[0])) {
      out_.tokens.push_back(same[0]);
    } else if (token == student_.bos()) {
      if (teacher_.bos() >= 0) out_.tokens.push_back(teacher_.bos());
    } else if (std::find(ends_.begin(), ends_.end(), token) != ends_.end()) {
      if (teacher_.eos() >= 0) out_.tokens.push_back(teacher_.eos());
    } else {
      append(teacher_.encode(written, false, false));
    }
    out_.place.push_back(last_place());
  }

  void append(const std::vector<Token>& more) { out_.tokens.insert(out_.tokens.end(), more.begin(), more.end()); }

  // Bytes that are still to come after each token, and all bytes.
  static std::vector<dim> left_after(const Tokenizer& tokenizer, std::span<const Token> tokens, std::string& all) {
    std::vector<dim> left;
    for (const Token t : tokens) {
      all += tokenizer.piece(t);
      left.push_back(dim(all.size()));
    }
    for (dim& l : left) l = dim(all.size()) - l;
    return left;
  }

  // Equal but for spaces that a tokenizer puts before a text.
  static bool same_text(const std::string& a, const std::string& b) {
    const std::string &longer = a.size() < b.size() ? b : a, &shorter = a.size() < b.size() ? a : b;
    const std::size_t more = longer.size() - shorter.size();
    return longer.ends_with(shorter) && longer.find_first_not_of(' ') >= more;
  }

  void text(std::span<const Token> tokens) {
    std::string ours, theirs;
    const std::vector<dim> left = left_after(student_, tokens, ours);
    const std::vector<Token> read = teacher_.encode(student_.decode(tokens, false), false, false);
    const std::vector<dim> left_there = left_after(teacher_, read, theirs);
    const dim first = dim(out_.tokens.size());
    append(read);
    const bool same = same_text(ours, theirs);
    std::size_t j = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      while (j < read.size() && left_there[j] > left[i]) ++j;
      const bool meets = j < read.size() && left_there[j] == left[i] && (same || i + 1 == tokens.size());
      out_.place.push_back(meets ? first + dim(j) : kNowhere);
    }
  }

  const Tokenizer &student_, &teacher_;
  std::vector<Token> ends_;
  AlignedText out_;
};

}  // namespace

AlignedText align_text(const Tokenizer& student, const Tokenizer& teacher, std::span<const Token> tokens, dim most) {
  AlignedText aligned = Aligner(student, teacher).align(tokens);
  if (dim(aligned.tokens.size()) > most) aligned.tokens.resize(std::size_t(most));
  for (dim& place : aligned.place)
    if (place >= most) place = kNowhere;
  return aligned;
}

std::vector<Token> shared_tokens(const Tokenizer& student, dim student_vocab, const Tokenizer& teacher,
                                 dim teacher_vocab) {
  std::multimap<std::pair<bool, std::string>, Token> there;
  const dim known = std::min(teacher.vocab_size(), teacher_vocab);
  for (dim t = 0; t < known; ++t) there.emplace(std::pair(teacher.is_special(Token(t)), text_of(teacher, Token(t))), t);
  std::vector<Token> ids;
  for (dim t = 0; t < std::min(student.vocab_size(), student_vocab); ++t) {
    auto [at, end] = there.equal_range({student.is_special(Token(t)), text_of(student, Token(t))});
    if (at == end) break;
    const auto same = std::find_if(at, end, [&](const auto& entry) { return entry.second == t; });
    if (same != end) at = same;
    ids.push_back(at->second);
    there.erase(at);
  }
  return ids;
}

}  // namespace pith
