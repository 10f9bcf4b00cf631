// Small random llama models, with experts mixtral models, as Hugging Face folders, written by plain code that shares
// nothing with the readers and writers under test.
#pragma once
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace pith::test {

struct GeneratedModel {
  std::int64_t layers = 2, hidden = 256, ffn = 512, heads = 4, kv_heads = 2, vocab = 96;
  std::int64_t experts = 0;  // of which a token uses two
  bool tied = true;
  std::string dtype = "F32";  // or BF16 (values are truncated to it)
  unsigned seed = 1;
  std::function<void(const std::string& name, std::vector<float>& values)> edit = {};  // before writing
};

struct GeneratedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::size_t values() const {
    std::size_t n = 1;
    for (const std::int64_t d : shape) n *= std::size_t(d);
    return n;
  }
};

inline std::vector<GeneratedTensor> generated_tensors(const GeneratedModel& m) {
  const std::int64_t kv = m.hidden / m.heads * m.kv_heads;
  std::vector<GeneratedTensor> out{{"model.embed_tokens.weight", {m.vocab, m.hidden}}};
  for (std::int64_t i = 0; i < m.layers; ++i) {
    const std::string block = fmt::format("model.layers.{}.", i);
    out.push_back({block + "input_layernorm.weight", {m.hidden}});
    out.push_back({block + "self_attn.q_proj.weight", {m.hidden, m.hidden}});
    out.push_back({block + "self_attn.k_proj.weight", {kv, m.hidden}});
    out.push_back({block + "self_attn.v_proj.weight", {kv, m.hidden}});
    out.push_back({block + "self_attn.o_proj.weight", {m.hidden, m.hidden}});
    out.push_back({block + "post_attention_layernorm.weight", {m.hidden}});
    for (std::int64_t e = 0; e < m.experts; ++e) {
      const std::string expert = fmt::format("{}block_sparse_moe.experts.{}.", block, e);
      out.push_back({expert + "w1.weight", {m.ffn, m.hidden}});
      out.push_back({expert + "w2.weight", {m.hidden, m.ffn}});
      out.push_back({expert + "w3.weight", {m.ffn, m.hidden}});
    }
    if (m.experts > 0) {
      out.push_back({block + "block_sparse_moe.gate.weight", {m.experts, m.hidden}});
      continue;
    }
    out.push_back({block + "mlp.gate_proj.weight", {m.ffn, m.hidden}});
    out.push_back({block + "mlp.up_proj.weight", {m.ffn, m.hidden}});
    out.push_back({block + "mlp.down_proj.weight", {m.hidden, m.ffn}});
  }
  out.push_back({"model.norm.weight", {m.hidden}});
  if (!m.tied) out.push_back({"lm_head.weight", {m.vocab, m.hidden}});
  return out;
}

// Roughly normal, standard deviation about 0.06; around 1 for norms.
inline std::vector<float> generated_values(const GeneratedModel& m, const GeneratedTensor& t) {
  std::uint64_t state = m.seed;
  for (const char c : t.name) state = state * 1099511628211ull + std::uint64_t(static_cast<unsigned char>(c));
  std::vector<float> values(t.values());
  const float offset = t.shape.size() == 1 ? 1.0f : 0.0f;
  for (float& v : values) {
    std::uint64_t sum = 0;  // of four 16-bit numbers
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    const std::uint64_t mixed = (state ^ (state >> 29)) * 0xbf58476d1ce4e5b9ull;
    for (int k = 0; k < 4; ++k) sum += (mixed >> (16 * k)) & 0xffffu;
    v = offset + (float(sum) / 65536.0f - 2.0f) * 0.1f;
  }
  return values;
}

inline std::string generated_bytes(const std::string& dtype, const std::vector<float>& values) {
  const std::size_t width = dtype == "F32" ? 4 : 2;
  std::string bytes(values.size() * width, '\0');
  for (std::size_t i = 0; i < values.size(); ++i)  // the upper half of a little-endian f32 is a bf16
    std::memcpy(&bytes[i * width], reinterpret_cast<const char*>(&values[i]) + (4 - width), width);
  return bytes;
}

// config.json, and the file's length and header; returns the size of the data.
inline std::size_t write_headers(const std::filesystem::path& folder, const GeneratedModel& m, std::ofstream& out) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << fmt::format(
      R"({{"architectures": ["{}"], "model_type": "{}", {}"hidden_size": {}, "intermediate_size": {},
"num_hidden_layers": {}, "num_attention_heads": {}, "num_key_value_heads": {}, "vocab_size": {}, "hidden_act": "silu",
"rms_norm_eps": 1e-5, "max_position_embeddings": 512, "rope_theta": 10000.0, "tie_word_embeddings": {},
"torch_dtype": "{}", "bos_token_id": 1, "eos_token_id": 2}})",
      m.experts > 0 ? "MixtralForCausalLM" : "LlamaForCausalLM", m.experts > 0 ? "mixtral" : "llama",
      m.experts > 0 ? fmt::format(R"("num_local_experts": {}, "num_experts_per_tok": 2, )", m.experts) : "", m.hidden,
      m.ffn, m.layers, m.heads, m.kv_heads, m.vocab, m.tied, m.dtype == "F32" ? "float32" : "bfloat16");

  std::string header = "{";
  std::size_t offset = 0;
  for (const auto& t : generated_tensors(m)) {
    const std::size_t size = t.values() * (m.dtype == "F32" ? 4 : 2);
    const std::string shape =
        t.shape.size() == 1 ? fmt::format("{}", t.shape[0]) : fmt::format("{},{}", t.shape[0], t.shape[1]);
    header += fmt::format(R"({}"{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", offset ? "," : "", t.name,
                          m.dtype, shape, offset, offset + size);
    offset += size;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t header_size = header.size();
  out.open(folder / "model.safetensors", std::ios::binary);
  out.write(reinterpret_cast<const char*>(&header_size), 8);
  out << header << std::flush;
  return offset;
}

inline std::filesystem::path write_model(const std::filesystem::path& folder, const GeneratedModel& m) {
  std::ofstream out;
  write_headers(folder, m, out);
  for (const auto& t : generated_tensors(m)) {
    auto values = generated_values(m, t);
    if (m.edit) m.edit(t.name, values);
    out << generated_bytes(m.dtype, values);
  }
  return folder;
}

// All weights zero, without blocks on disk. False where the file system cannot do that.
inline bool write_sparse_model(const std::filesystem::path& folder, const GeneratedModel& m) {
  std::ofstream out;
  const std::size_t data = write_headers(folder, m, out);
  std::error_code fault;
  const auto file = folder / "model.safetensors";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) + data, fault);
  return !fault;
}

}  // namespace pith::test
