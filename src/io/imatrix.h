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

}  // namespace pith
