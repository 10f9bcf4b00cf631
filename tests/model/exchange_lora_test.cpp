#include <cmath>

#include "io/gguf.h"
#include "model/exchange/lora.h"
#include "tests/model/exchange_written.h"

namespace pith::test {

namespace {

const std::string kPrefix = "base_model.model.model.layers.1.";

// Rank 4, alpha 6, of q_proj (64 x 64) and down_proj (64 x 96).
struct WrittenAdapter {
  WrittenModel files;
  WrittenAdapter() {
    files.config = {
        {"peft_type", "LORA"}, {"r", 4}, {"lora_alpha", 6}, {"bias", "none"}, {"target_modules", {"q_proj"}}};
    files.tensors = {f32_tensor(kPrefix + "self_attn.q_proj.lora_A.weight", {4, 64}),
                     f32_tensor(kPrefix + "self_attn.q_proj.lora_B.weight", {64, 4}),
                     f32_tensor(kPrefix + "mlp.down_proj.lora_A.weight", {4, 96}),
                     f32_tensor(kPrefix + "mlp.down_proj.lora_B.weight", {64, 4})};
  }
  std::filesystem::path write(const std::filesystem::path& folder) const {
    files.write(folder);
    std::filesystem::rename(folder / "config.json", folder / "adapter_config.json");
    std::filesystem::rename(folder / "model.safetensors", folder / "adapter_model.safetensors");
    return folder;
  }
  double value(const std::string& name, dim i) {
    float v;
    std::copy_n(files.at(kPrefix + name).bytes.data() + i * 4, 4, reinterpret_cast<char*>(&v));
    return v;
  }
  // (B A)[row, col]
  double product(const std::string& module, dim row, dim col, dim cols) {
    double sum = 0;
    for (dim k = 0; k < 4; ++k)
      sum += value(module + ".lora_B.weight", row * 4 + k) * value(module + ".lora_A.weight", k * cols + col);
    return sum;
  }
};

std::size_t index_of(const Model& m, Role role, dim layer) {
  return std::size_t(m.find(role, layer) - m.tensors().data());
}

void expect_added(const LoraAdapter& adapter, std::size_t tensor, dim row, dim cols,
                  const std::function<double(dim)>& expected) {
  std::vector<float> values(std::size_t(cols), 1.0f);
  adapter.apply(tensor, row, values.data());
  double largest = 0;
  for (dim c = 0; c < cols; ++c) {
    EXPECT_NEAR(values[std::size_t(c)], 1 + expected(c), 1e-6) << row << " " << c;
    largest = std::max(largest, std::abs(expected(c)));
  }
  EXPECT_GT(largest, 1e-3);  // so that something was tested
}

std::string fault_of(const WrittenAdapter& adapter, const std::filesystem::path& folder, const Model& base) {
  try {
    (void)LoraAdapter::open(adapter.write(folder), base);
    return "none";
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace

TEST(Lora, AddsAlphaOverRankTimesTheProduct) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "m"));
  WrittenAdapter written;
  const auto adapter = LoraAdapter::open(written.write(out.path / "a"), m);
  EXPECT_EQ(adapter.size(), 2u);
  EXPECT_FALSE(adapter.adapts(index_of(m, Role::attn_q, 0)));
  EXPECT_FALSE(adapter.adapts(index_of(m, Role::attn_k, 1)));
  ASSERT_TRUE(adapter.adapts(index_of(m, Role::attn_q, 1)));
  for (const dim row : {0, 17, 63}) {
    expect_added(adapter, index_of(m, Role::attn_q, 1), row, 64,
                 [&](dim c) { return 1.5 * written.product("self_attn.q_proj", row, c, 64); });
    expect_added(adapter, index_of(m, Role::ffn_down, 1), row, 96,
                 [&](dim c) { return 1.5 * written.product("mlp.down_proj", row, c, 96); });
  }
}

TEST(Lora, RootRankAndPatternsOfAlpha) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "m"));
  WrittenAdapter written;
  written.files.config["use_rslora"] = true;
  written.files.config["alpha_pattern"] = {{"mlp.down_proj", 10}};
  const auto adapter = LoraAdapter::open(written.write(out.path / "a"), m);
  expect_added(adapter, index_of(m, Role::attn_q, 1), 5, 64,
               [&](dim c) { return 3 * written.product("self_attn.q_proj", 5, c, 64); });
  expect_added(adapter, index_of(m, Role::ffn_down, 1), 5, 96,
               [&](dim c) { return 5 * written.product("mlp.down_proj", 5, c, 96); });
}

TEST(Lora, FollowsTheRowsOfAGgufBase) {
  const TempFolder out;
  const Model hf = Model::open(WrittenModel().write(out.path / "m"));
  const Model gguf = Model::open(write_plan(hf, plan_export(hf, Container::gguf, all_f32(hf), "m.gguf"), out.path));
  WrittenAdapter written;
  const auto adapter = LoraAdapter::open(written.write(out.path / "a"), gguf);
  // Heads of 16: rows 0, 1, 2, 3 of the file are 0, 8, 1, 9 of the head.
  const dim from[] = {0, 8, 1, 9};
  for (dim row = 0; row < 4; ++row)
    expect_added(adapter, index_of(gguf, Role::attn_q, 1), 16 + row, 64,
                 [&](dim c) { return 1.5 * written.product("self_attn.q_proj", 16 + from[row], c, 64); });
  expect_added(adapter, index_of(gguf, Role::ffn_down, 1), 3, 96,
               [&](dim c) { return 1.5 * written.product("mlp.down_proj", 3, c, 96); });
}

TEST(Lora, RowsAreAsLongAsDoraSays) {
  const TempFolder out;
  const Model hf = Model::open(WrittenModel().write(out.path / "m"));
  const Model gguf = Model::open(write_plan(hf, plan_export(hf, Container::gguf, all_f32(hf), "m.gguf"), out.path));
  WrittenAdapter written;
  written.files.config["use_dora"] = true;
  EXPECT_NE(fault_of(written, out.path / "a", hf).find("expected its lora_magnitude_vector"), std::string::npos);
  for (const char* module : {"self_attn.q_proj", "mlp.down_proj"})
    written.files.tensors.push_back(f32_tensor(kPrefix + module + ".lora_magnitude_vector", {64}));
  for (const Model* m : {&hf, &gguf}) {
    const auto adapter = LoraAdapter::open(written.write(out.path / "a"), *m);
    const dim from = m == &hf ? 17 : 24;  // row 17 of a GGUF is row 8 of the second head
    std::vector<float> values(64, 1.0f);
    adapter.apply(index_of(*m, Role::attn_q, 1), 17, values.data());
    double squares = 0;
    std::vector<double> sum;
    for (dim c = 0; c < 64; ++c) {
      sum.push_back(1 + 1.5 * written.product("self_attn.q_proj", from, c, 64));
      squares += sum.back() * sum.back();
    }
    const double factor = written.value("self_attn.q_proj.lora_magnitude_vector", from) / std::sqrt(squares);
    for (std::size_t c = 0; c < 64; ++c) EXPECT_NEAR(values[c], factor * sum[c], 1e-7) << c;
  }
  written.files.at(kPrefix + "mlp.down_proj.lora_magnitude_vector") =
      f32_tensor(kPrefix + "mlp.down_proj.lora_magnitude_vector", {63});
  EXPECT_NE(fault_of(written, out.path / "a", hf).find("expected 64 magnitudes, found 63"), std::string::npos);
}

GgufMeta adapter_meta(const std::string& architecture = "llama", float alpha = 6) {
  GgufMeta meta;
  meta.set("general.architecture", architecture);
  meta.set("general.type", std::string("adapter"));
  meta.set("adapter.type", std::string("lora"));
  meta.set("adapter.lora.alpha", alpha);
  return meta;
}

// The adapter's q_proj as llama.cpp names it.
std::filesystem::path write_gguf_adapter(WrittenAdapter& written, const GgufMeta& meta,
                                         const std::filesystem::path& path) {
  const std::string &a = written.files.at(kPrefix + "self_attn.q_proj.lora_A.weight").bytes,
                    &b = written.files.at(kPrefix + "self_attn.q_proj.lora_B.weight").bytes;
  std::vector<GgufTensor> tensors(2);
  tensors[0] = {"blk.1.attn_q.weight.lora_a", {64, 4}, 0, 0, dim(a.size())};
  tensors[1] = {"blk.1.attn_q.weight.lora_b", {4, 64}, 0, 0, dim(b.size())};
  const FileLayout layout = gguf_layout(meta, tensors);
  std::string file = layout.head;
  file.resize(std::size_t(layout.total_bytes));
  std::copy(a.begin(), a.end(), file.begin() + layout.offsets_bytes[0]);
  std::copy(b.begin(), b.end(), file.begin() + layout.offsets_bytes[1]);
  std::ofstream(path, std::ios::binary) << file;
  return path;
}

TEST(Lora, GgufAdapters) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "m"));
  WrittenAdapter written;
  const auto adapter = LoraAdapter::open(write_gguf_adapter(written, adapter_meta(), out.path / "a.gguf"), m);
  // Row 8 of a head of a folder is row 1 in GGUF's order.
  expect_added(adapter, index_of(m, Role::attn_q, 1), 8, 64,
               [&](dim c) { return 1.5 * written.product("self_attn.q_proj", 1, c, 64); });
  // Without an alpha the product is added as it is.
  const auto plain = LoraAdapter::open(write_gguf_adapter(written, adapter_meta("llama", 0), out.path / "b.gguf"), m);
  expect_added(plain, index_of(m, Role::attn_q, 1), 8, 64,
               [&](dim c) { return written.product("self_attn.q_proj", 1, c, 64); });
}

TEST(Lora, GgufAdaptersOfOtherModelsOrKindsAreRefused) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "m"));
  WrittenAdapter written;
  const auto fault = [&](const GgufMeta& meta) {
    try {
      (void)LoraAdapter::open(write_gguf_adapter(written, meta, out.path / "a.gguf"), m);
      return std::string("none");
    } catch (const Error& e) {
      return std::string(e.what());
    }
  };
  EXPECT_NE(fault(adapter_meta("qwen2")).find("general.architecture: expected llama"), std::string::npos);
  GgufMeta meta = adapter_meta();
  meta.set("adapter.alora.invocation_tokens", GgufArray{std::vector<std::uint32_t>{1, 2}});
  EXPECT_NE(fault(meta).find("invocation tokens"), std::string::npos);
  meta = adapter_meta();
  meta.set("general.type", std::string("model"));
  EXPECT_NE(fault(meta).find("general.type: expected adapter"), std::string::npos);
}

TEST(Lora, WhatIsMoreThanAProductIsRefused) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "m"));
  for (const auto& [key, value] : {std::pair<std::string, nlohmann::json>{"modules_to_save", {"lm_head"}},
                                   {"bias", "all"},
                                   {"fan_in_fan_out", true},
                                   {"init_lora_weights", "pissa_niter_16"},
                                   {"alora_invocation_tokens", {5}},
                                   {"peft_type", "LOHA"}}) {
    WrittenAdapter written;
    written.files.config[key] = value;
    EXPECT_NE(fault_of(written, out.path / "a", m).find("adapter_config.json] " + key), std::string::npos) << key;
  }
  WrittenAdapter written;
  written.files.tensors.push_back(f32_tensor("base_model.model.lm_head.weight", {40, 64}));
  EXPECT_NE(fault_of(written, out.path / "a", m).find("lm_head.weight"), std::string::npos);
}

TEST(Lora, DamageIsNamed) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "m"));
  WrittenAdapter written;
  written.files.drop(kPrefix + "mlp.down_proj.lora_B.weight");
  EXPECT_NE(fault_of(written, out.path / "a", m).find("expected its lora_B"), std::string::npos);
  written = {};
  written.files.at(kPrefix + "mlp.down_proj.lora_A.weight") =
      f32_tensor(kPrefix + "mlp.down_proj.lora_A.weight", {4, 64});
  EXPECT_NE(fault_of(written, out.path / "a", m).find("expected an adapter of 64 x 96, found 64 x 4 times 4 x 64"),
            std::string::npos);
  written = {};
  for (const char* part : {"lora_A", "lora_B"})
    written.files.at(kPrefix + "mlp.down_proj." + part + ".weight").name =
        std::string("base_model.model.model.layers.7.mlp.down_proj.") + part + ".weight";
  EXPECT_NE(fault_of(written, out.path / "a", m).find("layers.7.mlp.down_proj.weight"), std::string::npos);
}

}  // namespace pith::test
