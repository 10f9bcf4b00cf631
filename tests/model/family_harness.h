// Golden tests of model families: tiny models whose weights follow from their names and whose logits were computed by
// another implementation (families/make_vectors.py, which also states the rule of the weights).
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/model.h"

namespace pith::test {

// "phi3" -> tests/model/families/phi3.json
nlohmann::json family_vectors(const std::string& name);

// The values of a tensor, as the vectors' rule makes them.
std::vector<float> hashed_values(const std::string& name, dim count, double center, double spread);

// The tiny model as a Hugging Face folder; `cut` from the beginning of the tensors' names.
std::filesystem::path write_family(const nlohmann::json& vectors, const std::filesystem::path& folder,
                                   const std::string& cut = "");

// Logits of the vectors' tokens against theirs, all tokens at once and one after another.
void expect_golden_logits(const Model& model, const nlohmann::json& vectors, const std::string& what);

// All tensors that the vectors list, bit for bit, and no others.
void expect_golden_tensors(const Model& model, const nlohmann::json& vectors);

// Opens the model, exports it to GGUF, and that back to Hugging Face: the logits agree at each station, and the
// tensors at the end are those of the start.
void check_family(const std::string& name);

}  // namespace pith::test
