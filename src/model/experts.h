// The keys of mixtures of experts.
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "io/gguf.h"
#include "model/config.h"
#include "model/json_keys.h"

namespace pith {

// expert_count and expert_used_count.
void read_experts(const GgufMeta& meta, Config& out);
void write_experts(const Config& config, GgufMeta& out);
// expert_feed_forward_length; without it the experts that a token uses are together as wide as the dense network.
void read_expert_width(const GgufMeta& meta, Config& out);
void write_expert_width(const Config& config, GgufMeta& out);

// How many there are (`count_key`) and how many a token uses (num_experts_per_tok).
void read_expert_counts(const JsonKeys& keys, std::string_view count_key, Config& out);

// The widths of the experts, and which layers have them: all, or Error(input).
void read_qwen_experts(const JsonKeys& keys, Config& out);
void qwen_experts_to_hf(const Config& config, nlohmann::json& out);

}  // namespace pith
