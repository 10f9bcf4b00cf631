// The sizes that every family spells the same way, with their names in config.json and in GGUF metadata.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "model/config.h"

namespace pith {

struct SizeKey {
  dim Config::*field;
  std::string_view hf;    // "hidden_size"
  std::string_view gguf;  // "embedding_length", after "<arch>."
  dim most;               // sane upper limit; the lower one is 1
  bool optional = false;  // has a default
};
std::span<const SizeKey> size_keys();

// Fills in what the keys left out (key-value heads, head size) and checks how the sizes fit together. Error(input)
// at `where` that names the key, in the spelling of config.json (hf) or of the GGUF family.
void complete_config(Config& config, std::string_view where, bool hf);

// The nearest double to the shortest decimal that means this float: 1e-5f is 1e-05, not 9.99999974737875e-06.
double decimal(float value);

}  // namespace pith
