// Importance matrices as llama.cpp writes them: the mean squared input of each column of each linear layer.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/mapped_file.h"

namespace pith {

struct Imatrix {
  // By GGUF tensor name ("blk.0.attn_q.weight"): one value per column; for expert layers cols x experts values, one
  // expert after another. All finite and not negative.
  std::map<std::string, std::vector<float>, std::less<>> mean_squares;
  std::vector<std::string> datasets;  // what it was measured on, where the file tells
};

// The GGUF form, or the older binary one. Error(input).
Imatrix read_imatrix(const std::filesystem::path& path);
Imatrix parse_imatrix(MappedFile file, const std::string& where);  // for tests and fuzzing

// What is written: sums of squares instead of their means, so that files of several texts can be added up.
struct ImatrixEntry {
  std::string name;  // the GGUF tensor's
  dim cols = 0;
  std::vector<float> sums;    // cols per matrix: of x^2, one expert after another
  std::vector<float> counts;  // one per matrix: how many inputs
};
struct ImatrixContents {
  std::vector<ImatrixEntry> entries;
  std::vector<std::string> datasets;
  dim chunks = 0, chunk_tokens = 0;
};
std::string imatrix_gguf(const ImatrixContents& contents);  // the GGUF form's bytes

}  // namespace pith
