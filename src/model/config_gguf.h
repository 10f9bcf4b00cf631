// GGUF metadata: the keys that families share. Error(input) that names the key.
#pragma once
#include "model/arch.h"

namespace pith {

// How linear layers round their inputs, as ActSpec reads it.
inline constexpr std::string_view kGgufActivations = "pith.activations", kGgufKv = "pith.kv_cache";
// Config::rotated_down
inline constexpr std::string_view kGgufRotatedDown = "pith.rotated_down";

// vocab is 0 when no key says it: the embedding does.
Config config_from_gguf(const GgufMeta& meta, const Arch& arch);
// general.architecture and the family's keys.
void config_to_gguf(const Config& config, const Arch& arch, GgufMeta& out);

std::string gguf_key(const Config& config, std::string_view suffix);  // "llama.context_length"

}  // namespace pith
