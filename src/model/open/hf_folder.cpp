#include "model/open/hf_folder.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/files.h"
#include "io/json.h"

namespace pith {

namespace {

// Newer folders keep the chat template in a file of its own.
std::string tokenizer_config_of_folder(const std::filesystem::path& folder) {
  std::string text = text_if_there(folder / "tokenizer_config.json");
  const std::string chat_template = text_if_there(folder / "chat_template.jinja");
  if (chat_template.empty()) return text;
  auto config = text.empty() ? nlohmann::json::object() : parse_json(text, "tokenizer_config.json");
  if (!config.is_object() || config.contains("chat_template")) return text;
  config["chat_template"] = chat_template;
  return config.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string text_if_there(const std::filesystem::path& path) {
  std::error_code fault;
  return std::filesystem::is_regular_file(path, fault) ? read_text_file(path) : std::string();
}

Tokenizer tokenizer_of_folder(const std::filesystem::path& folder) {
  const std::string text = text_if_there(folder / "tokenizer.json");
  if (text.empty())
    throw Error(Blame::input, folder.string(), "expected tokenizer.json, it is missing or empty",
                "transformers writes it with tokenizer.save_pretrained() of a fast tokenizer");
  return Tokenizer::from_json(text, tokenizer_config_of_folder(folder));
}

}  // namespace pith
