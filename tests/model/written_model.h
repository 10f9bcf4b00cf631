// Tiny llama models as Hugging Face folders, written by plain code that shares nothing with the readers under test.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace pith::test {

struct WrittenTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::string dtype = "F32";
  std::string bytes;
};

inline WrittenTensor f32_tensor(std::string name, std::vector<std::int64_t> shape) {
  std::uint32_t state = 7;
  for (const char c : name) state = state * 31u + static_cast<unsigned char>(c);
  std::int64_t n = 1;
  for (const auto d : shape) n *= d;
  std::string bytes;
  for (std::int64_t i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    const float v = float(std::int32_t(state)) * 0x1p-34f;  // within 1/8
    bytes.append(reinterpret_cast<const char*>(&v), 4);
  }
  return {std::move(name), std::move(shape), "F32", std::move(bytes)};
}

struct WrittenModel {  // hidden 64, ffn 96, 2 layers, 4 heads of 16, 2 key-value heads, 40 tokens, tied
  nlohmann::json config = {{"model_type", "llama"},    {"hidden_size", 64},
                           {"intermediate_size", 96},  {"num_hidden_layers", 2},
                           {"num_attention_heads", 4}, {"num_key_value_heads", 2},
                           {"vocab_size", 40},         {"max_position_embeddings", 128},
                           {"rms_norm_eps", 1e-5},     {"rope_theta", 10000.0},
                           {"hidden_act", "silu"},     {"tie_word_embeddings", true}};
  std::vector<WrittenTensor> tensors;

  WrittenModel() {
    tensors.push_back(f32_tensor("model.embed_tokens.weight", {40, 64}));
    for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
      tensors.push_back(f32_tensor(layer + "input_layernorm.weight", {64}));
      tensors.push_back(f32_tensor(layer + "self_attn.q_proj.weight", {64, 64}));
      tensors.push_back(f32_tensor(layer + "self_attn.k_proj.weight", {32, 64}));
      tensors.push_back(f32_tensor(layer + "self_attn.v_proj.weight", {32, 64}));
      tensors.push_back(f32_tensor(layer + "self_attn.o_proj.weight", {64, 64}));
      tensors.push_back(f32_tensor(layer + "post_attention_layernorm.weight", {64}));
      tensors.push_back(f32_tensor(layer + "mlp.gate_proj.weight", {96, 64}));
      tensors.push_back(f32_tensor(layer + "mlp.up_proj.weight", {96, 64}));
      tensors.push_back(f32_tensor(layer + "mlp.down_proj.weight", {64, 96}));
    }
    tensors.push_back(f32_tensor("model.norm.weight", {64}));
  }

  WrittenTensor& at(const std::string& name) {
    for (WrittenTensor& t : tensors)
      if (t.name == name) return t;
    throw std::out_of_range(name);
  }
  void drop(const std::string& name) {
    std::erase_if(tensors, [&](const WrittenTensor& t) { return t.name == name; });
  }

  std::filesystem::path write(const std::filesystem::path& folder) const {
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "config.json") << config.dump();
    nlohmann::ordered_json header;
    std::size_t offset = 0;
    for (const WrittenTensor& t : tensors) {
      header[t.name] = {{"dtype", t.dtype}, {"shape", t.shape}, {"data_offsets", {offset, offset + t.bytes.size()}}};
      offset += t.bytes.size();
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const std::uint64_t size = text.size();
    std::ofstream out(folder / "model.safetensors", std::ios::binary);
    out.write(reinterpret_cast<const char*>(&size), 8);
    out << text;
    for (const WrittenTensor& t : tensors) out << t.bytes;
    return folder;
  }
};

}  // namespace pith::test
