// Rows of a text file, as data sets of one row per line see them.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace pith {

// A row is a line with its newline ("\n"); a line of nothing but white space is the empty row. This is how the
// WikiText data sets of Hugging Face read the raw files, so that joining the rows by two newlines gives
// the text the GPTQ scripts tokenize.
std::vector<std::string_view> text_rows(std::string_view text);
std::string join_rows(std::string_view text, std::string_view separator);

}  // namespace pith
