// Which layers have a window, as containers spell it.
#pragma once
#include <vector>

#include "io/gguf.h"
#include "model/config.h"
#include "model/json_keys.h"

namespace pith {

bool layer_slides(const Config& config, dim layer);

// Sets the pattern from one flag a layer; no layer slides: no window. Error(input) at `where` unless all slide, none
// does, or every n-th is global.
void set_sliding_layers(Config& config, const std::vector<bool>& slides, std::string_view where);

// config.json's layer_types where it is there; else the pattern stays. sliding_window must be set.
void read_layer_types(const JsonKeys& keys, Config& config);
// Qwen's keys: use_sliding_window, sliding_window, and layer_types or else max_window_layers, before which all is seen.
void read_qwen_window(const JsonKeys& keys, Config& config);
// ["sliding_attention", "full_attention", ...]
std::vector<std::string> layer_types(const Config& config);

// The keys attention.sliding_window and attention.sliding_window_pattern; `pattern` is what the family implies.
void read_sliding(const GgufMeta& meta, dim window, dim pattern, Config& out);
void write_sliding(const Config& config, dim pattern, GgufMeta& out);

}  // namespace pith
