// Text files as data sets and their scripts see them: rows, sentences, documents, words.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"

namespace pith {

// A row is a line with its newline ("\n"); a line of nothing but white space is the empty row. This is how the
// WikiText data sets of Hugging Face read the raw files, so that joining the rows by two newlines gives
// the text the GPTQ scripts tokenize.
std::vector<std::string_view> text_rows(std::string_view text);
std::string join_rows(std::string_view text, std::string_view separator);

// Lines without the white space around them, joined by one space: Penn Treebank as its data sets of Hugging Face give
// it to the GPTQ scripts.
std::string join_sentences(std::string_view text);

// Runs of white space and one: how lm-evaluation-harness counts the words of a text.
dim count_words(std::string_view text);

// The "text" of each line of a .jsonl file, the first `most` of them (0: all), joined. Error(input) names `where` and
// the line.
std::string join_documents(std::string_view jsonl, std::string_view where, std::string_view separator, dim most);

}  // namespace pith
