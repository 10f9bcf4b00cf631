// The small files of a Hugging Face folder.
#pragma once
#include <filesystem>
#include <string>

#include "io/tokenizer.h"

namespace pith {

// tokenizer.json with what tokenizer_config.json and chat_template.jinja add. Error(input) when there is none.
Tokenizer tokenizer_of_folder(const std::filesystem::path& folder);

// A file's text, or empty when there is none.
std::string text_if_there(const std::filesystem::path& path);

}  // namespace pith
