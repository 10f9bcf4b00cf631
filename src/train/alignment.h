// How the tokens of a student and of a teacher with another vocabulary lie beside each other.
#pragma once
#include <span>
#include <vector>

#include "io/tokenizer.h"

namespace pith {

// A student's sequence as a teacher reads it.
struct AlignedText {
  std::vector<Token> tokens;  // the teacher's
  // For each of the student's tokens the place of the teacher's after which the same text has been read; -1: at no
  // place, its text ends within one of the teacher's tokens or differs.
  std::vector<dim> place;
};

// Text between special tokens is split again by the teacher's tokenizer. A special token becomes the teacher's of the
// same text, BOS its BOS, an end token its EOS; another is read as the text it is written as. Where a teacher expects
// BOS, it comes first. most: tokens of the teacher; those after are cut off.
AlignedText align_text(const Tokenizer& student, const Tokenizer& teacher, std::span<const Token> tokens, dim most);

// For the student's tokens 0, 1, ... as far as the teacher has tokens of the same text and kind: their ids there, each
// id once, the same one where it is. Student tokens behind those are padding or the student's alone.
std::vector<Token> shared_tokens(const Tokenizer& student, dim student_vocab, const Tokenizer& teacher,
                                 dim teacher_vocab);

}  // namespace pith
