// Parts of tokenizer.json shared by its readers and writers.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "io/tokenizer/data.h"

namespace pith::tokenizer_json {

// Members of an object: Error(input) that names the key when it is missing or of another kind.
const nlohmann::json& member(const nlohmann::json& object, const char* key);
const nlohmann::json* find_member(const nlohmann::json& object, const char* key);  // null when absent or null
std::string text(const nlohmann::json& object, const char* key);
std::string text_or(const nlohmann::json& object, const char* key, std::string_view otherwise);
bool flag_or(const nlohmann::json& object, const char* key, bool otherwise);
dim count_or(const nlohmann::json& object, const char* key, dim otherwise);

void read_normalizer(const nlohmann::json& rule, TokenizerData& data);
void read_pretokenizer(const nlohmann::json& rule, TokenizerData& data);
void read_decoder(const nlohmann::json& rule, TokenizerData& data);
void read_template(const nlohmann::json& rule, TokenizerData& data);

nlohmann::json normalizer_json(const std::vector<NormalizeStep>& steps);
nlohmann::json pretokenizer_json(const TokenizerData& data);
nlohmann::json decoder_json(const TokenizerData& data);

}  // namespace pith::tokenizer_json
