#include "model/experts.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/config_gguf.h"

namespace pith {

namespace {

constexpr dim kMostExperts = 1 << 12, kMostWidth = dim(1) << 24;

dim size_at(const GgufMeta& meta, const Config& c, std::string_view suffix, dim most, dim otherwise) {
  const std::string key = gguf_key(c, suffix);
  const auto value = meta.find_int(key, otherwise);
  if (value < 1 || value > most) throw input_error("gguf", "key {}: expected 1 to {}, got {}", key, most, value);
  return value;
}

}  // namespace

void read_experts(const GgufMeta& meta, Config& out) {
  out.experts = size_at(meta, out, "expert_count", kMostExperts, 0);
  out.experts_used = size_at(meta, out, "expert_used_count", out.experts, 0);
}

void write_experts(const Config& c, GgufMeta& out) {
  out.set(gguf_key(c, "expert_count"), std::uint32_t(c.experts));
  out.set(gguf_key(c, "expert_used_count"), std::uint32_t(c.experts_used));
}

void read_expert_width(const GgufMeta& meta, Config& out) {
  out.expert_ffn = size_at(meta, out, "expert_feed_forward_length", kMostWidth, out.ffn / out.experts_used);
}

void write_expert_width(const Config& c, GgufMeta& out) {
  out.set(gguf_key(c, "expert_feed_forward_length"), std::uint32_t(c.expert_ffn));
}

void read_expert_counts(const JsonKeys& keys, std::string_view count_key, Config& out) {
  out.experts = keys.size(count_key, kMostExperts);
  out.experts_used = keys.size("num_experts_per_tok", out.experts);
}

void read_qwen_experts(const JsonKeys& keys, Config& out) {
  read_expert_counts(keys, "num_experts", out);
  out.expert_ffn = keys.size("moe_intermediate_size", kMostWidth);
  out.norm_expert_weights = keys.flag_or("norm_topk_prob", false);
  if (keys.size_or("decoder_sparse_step", kMostExperts, 1) != 1)
    throw input_error(keys.where, "decoder_sparse_step: expected 1, experts in all layers, got another");
  if (keys.has("mlp_only_layers") && !keys.object.at("mlp_only_layers").empty())
    throw input_error(keys.where, "mlp_only_layers: expected none, experts in all layers, got some");
}

void qwen_experts_to_hf(const Config& c, nlohmann::json& out) {
  out["num_experts"] = c.experts;
  out["num_experts_per_tok"] = c.experts_used;
  out["moe_intermediate_size"] = c.expert_ffn;
  out["norm_topk_prob"] = c.norm_expert_weights;
  out["decoder_sparse_step"] = 1;
  out["mlp_only_layers"] = nlohmann::json::array();
}

}  // namespace pith
