#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/format.h"
#include "model/export.h"
#include "tests/model/write_plan.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using nlohmann::json;
using test::WrittenModel;

std::string fault_of(const std::filesystem::path& path) {
  try {
    (void)Model::open(path);
  } catch (const Error& e) {
    EXPECT_EQ(e.blame(), Blame::input) << e.what();
    return e.what();
  }
  return "opened";
}

void expect_words(const std::string& fault, std::initializer_list<const char*> words, const std::string& what) {
  for (const char* word : words) EXPECT_NE(fault.find(word), std::string::npos) << what << ": " << fault;
}

TEST(HostileConfig, MissingKeysAreNamed) {
  const test::TempFolder out;
  for (const char* key : {"model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                          "vocab_size", "max_position_embeddings", "rms_norm_eps"}) {
    WrittenModel m;
    m.config.erase(key);
    expect_words(fault_of(m.write(out.path)), {"config.json", key, "missing"}, key);
  }
}

struct BadValue {
  const char* key;
  json value;
  const char* expected;
};

TEST(HostileConfig, AbsurdValuesAreNamed) {
  const test::TempFolder out;
  const std::vector<BadValue> cases = {
      {"num_attention_heads", 0, "num_attention_heads"},
      {"num_attention_heads", -4, "num_attention_heads"},
      {"num_attention_heads", 5, "num_key_value_heads"},
      {"num_key_value_heads", 3, "num_key_value_heads"},
      {"num_key_value_heads", "2", "num_key_value_heads"},
      {"num_hidden_layers", 10001, "num_hidden_layers"},
      {"num_hidden_layers", 18446744073709551615u, "num_hidden_layers"},
      {"num_hidden_layers", 2.5, "num_hidden_layers"},
      {"hidden_size", dim(1) << 40, "hidden_size"},
      {"vocab_size", json::array({1}), "vocab_size"},
      {"head_dim", 15, "head_dim"},
      {"head_dim", 0, "head_dim"},
      {"rms_norm_eps", -1.0, "rms_norm_eps"},
      {"rms_norm_eps", "x", "rms_norm_eps"},
      {"rope_theta", 0.0, "rope_theta"},
      {"rope_theta", -5, "rope_theta"},
      {"hidden_act", "mish", "hidden_act"},
      {"tie_word_embeddings", 1, "tie_word_embeddings"},
      {"model_type", "bert", "model_type"},
      {"rope_scaling", 3, "rope_scaling"},
      {"rope_scaling", json{{"rope_type", "spiral"}, {"factor", 2}}, "rope_scaling.rope_type"},
      {"rope_scaling", json{{"type", "linear"}}, "rope_scaling.factor"},
      {"rope_scaling", json{{"type", "linear"}, {"factor", 0}}, "rope_scaling.factor"},
      {"rope_scaling", json{{"rope_type", "llama3"}, {"factor", 8}}, "rope_scaling.low_freq_factor"},
      {"rope_parameters", json{{"rope_type", "yarn"}}, "rope_parameters.factor"},
      {"quantization_config", json{{"quant_method", "quip"}}, "quantization_config.quant_method"},
      {"partial_rotary_factor", 0.5, "partial_rotary_factor"},
  };
  for (const BadValue& c : cases) {
    WrittenModel m;
    m.config[c.key] = c.value;
    expect_words(fault_of(m.write(out.path)), {"config.json", c.expected}, std::string(c.key) + c.value.dump());
  }
  std::ofstream(out.path / "config.json") << "[1, 2]";
  expect_words(fault_of(out.path), {"config.json", "object"}, "array");
  std::ofstream(out.path / "config.json") << "{\"model_type\": ";
  expect_words(fault_of(out.path), {"config.json", "JSON"}, "torn");
}

TEST(HostileConfig, TensorsMustBeThereInTheirShapes) {
  const test::TempFolder out;
  WrittenModel missing;
  missing.drop("model.layers.1.self_attn.k_proj.weight");
  expect_words(fault_of(missing.write(out.path)), {"model.layers.1.self_attn.k_proj.weight", "[32, 64]", "missing"},
               "missing");
  WrittenModel wrong;
  wrong.config["num_key_value_heads"] = 4;
  expect_words(fault_of(wrong.write(out.path)),
               {"model.layers.0.self_attn.k_proj.weight", "expected shape [64, 64]", "found [32, 64]"}, "shape");
  WrittenModel flat;
  flat.at("model.norm.weight").shape = {1, 64};
  expect_words(fault_of(flat.write(out.path)), {"model.norm.weight", "[64]", "[1, 64]"}, "dimensions");
  WrittenModel beyond;
  beyond.tensors.push_back(test::f32_tensor("model.layers.2.mlp.up_proj.weight", {96, 64}));
  expect_words(fault_of(beyond.write(out.path)), {"model.layers.2.mlp.up_proj.weight", "layers 0 to 1"}, "beyond");
  WrittenModel integer;
  integer.at("model.layers.0.mlp.up_proj.weight").dtype = "I32";
  expect_words(fault_of(integer.write(out.path)), {"model.layers.0.mlp.up_proj.weight", "I32"}, "dtype");
}

TEST(HostileConfig, PathsWithoutAModelAreNamed) {
  const test::TempFolder out;
  expect_words(fault_of(out.path / "nowhere"), {"nowhere"}, "nothing");
  expect_words(fault_of(out.path), {"config.json", "missing"}, "empty folder");
  std::ofstream(out.path / "x.gguf") << "not a model at all";
  expect_words(fault_of(out.path / "x.gguf"), {"gguf"}, "text");
}

TEST(HostileConfig, ModelsWithoutATokenizerOpen) {
  const test::TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path));
  EXPECT_FALSE(m.has_tokenizer());
  EXPECT_THROW((void)m.tokenizer(), Error);
  EXPECT_THROW((void)m.tokenizer(), Error);
}

// A GGUF of the written model with one key changed.
std::string gguf_fault(const std::filesystem::path& folder, const std::string& key, const GgufValue* value) {
  const Model m = Model::open(WrittenModel().write(folder / "hf"));
  auto plan = plan_export(m, Container::gguf, test::all_f32(m), "m.gguf");
  const Model good = Model::open(test::write_plan(m, plan, folder));
  GgufMeta meta = *good.gguf_meta();
  if (value)
    meta.set(key, *value);
  else
    meta.erase(key);
  const GgufFile file(folder / "m.gguf");
  const FileLayout layout = gguf_layout(meta, file.tensors());
  std::string bytes = layout.head;
  bytes.resize(std::size_t(layout.total_bytes), '\0');
  for (std::size_t i = 0; i < file.tensors().size(); ++i)
    std::memcpy(bytes.data() + layout.offsets_bytes[i], file.data(file.tensors()[i]),
                std::size_t(file.tensors()[i].size_bytes));
  std::ofstream(folder / "changed.gguf", std::ios::binary) << bytes;
  return fault_of(folder / "changed.gguf");
}

TEST(HostileConfig, GgufKeysAreNamed) {
  const test::TempFolder out;
  for (const char* key :
       {"general.architecture", "llama.context_length", "llama.embedding_length", "llama.block_count",
        "llama.attention.head_count", "llama.feed_forward_length", "llama.attention.layer_norm_rms_epsilon"})
    expect_words(gguf_fault(out.path, key, nullptr), {key, "missing"}, key);
  struct Bad {
    const char* key;
    GgufValue value;
    const char* expected;
  };
  const std::vector<Bad> cases = {
      {"llama.attention.head_count", std::uint32_t(0), "llama.attention.head_count"},
      {"llama.attention.head_count", std::uint32_t(5), "llama.attention.head_count_kv"},
      {"llama.attention.head_count", GgufArray{std::vector<std::int32_t>{4, 2}}, "one value for all layers"},
      {"llama.block_count", std::uint32_t(20000), "llama.block_count"},
      {"llama.block_count", std::string("two"), "llama.block_count"},
      {"llama.block_count", std::uint32_t(3), "blk.2."},
      {"llama.attention.key_length", std::uint32_t(8), "llama.attention.value_length"},
      {"llama.rope.dimension_count", std::uint32_t(8), "llama.rope.dimension_count"},
      {"llama.rope.freq_base", -1.0f, "llama.rope.freq_base"},
      {"llama.rope.scaling.type", std::string("spiral"), "llama.rope.scaling.type"},
      {"llama.expert_count", std::uint32_t(8), "llama.expert_used_count"},
      {"llama.expert_count", std::uint32_t(1) << 20, "llama.expert_count"},
      {"llama.vocab_size", std::uint32_t(41), "token_embd.weight"},
      {"general.architecture", std::string("rwkv"), "general.architecture"},
      {"split.count", std::uint16_t(3), "00003"},
  };
  for (const Bad& c : cases) expect_words(gguf_fault(out.path, c.key, &c.value), {c.expected}, c.key);
}

}  // namespace
}  // namespace pith
