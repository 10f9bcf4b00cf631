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

// A size that a family's config.json spells otherwise. Empty: it has no such key.
struct SizeName {
  dim Config::*field;
  std::string_view hf;
  bool optional = false;  // the family has a default
};

// How a file spells the sizes: as config.json of a family with these names, or as GGUF metadata.
struct Spelling {
  bool hf = false;
  std::span<const SizeName> own = {};
  SizeName in_hf(const SizeKey& key) const;
};

// Fills in what the keys left out (key-value heads, head size) and checks how the sizes fit together. Error(input)
// at `where` that names the key as the file spells it.
void complete_config(Config& config, std::string_view where, const Spelling& spelling);

// The nearest double to the shortest decimal that means this float: 1e-5f is 1e-05, not 9.99999974737875e-06.
double decimal(float value);

}  // namespace pith
