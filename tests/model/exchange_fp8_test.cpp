#include <nlohmann/json.hpp>

#include "model/exchange/layout.h"
#include "tests/model/exchange_written.h"

namespace pith::test {

namespace {

const std::string kDown = "model.layers.1.mlp.down_proj";  // 64 x 128
constexpr std::uint8_t kCodes[4] = {0x38, 0x40, 0xb8, 0x7e};
constexpr float kValues[4] = {1, 2, -1, 448};

float scale(dim i) { return 0.01f * float(i + 1); }

// down_proj in FP8 with a scale tensor of this shape.
WrittenModel fp8_model(const std::string& scale_name, const std::vector<dim>& shape) {
  WrittenModel m;
  m.config["intermediate_size"] = 128;
  for (const std::string layer : {"model.layers.0.mlp.", "model.layers.1.mlp."}) {
    m.at(layer + "gate_proj.weight") = f32_tensor(layer + "gate_proj.weight", {128, 64});
    m.at(layer + "up_proj.weight") = f32_tensor(layer + "up_proj.weight", {128, 64});
    m.at(layer + "down_proj.weight") = f32_tensor(layer + "down_proj.weight", {64, 128});
  }
  m.drop(kDown + ".weight");
  add_tensor(m, kDown + ".weight", {64, 128}, "F8_E4M3",
             number_bytes<std::uint8_t>(64 * 128, [](dim i) { return kCodes[(i + i / 128) % 4]; }));
  dim n = 1;
  for (const dim d : shape) n *= d;
  add_tensor(m, kDown + scale_name, shape, "F32", number_bytes<float>(n, scale));
  return m;
}

void expect_values(const Model& m, std::string_view format, const std::function<dim(dim, dim)>& scale_of,
                   float tolerance = 0) {
  const ModelTensor* t = m.find(Role::ffn_down, 1);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->weight.format->name, format);
  const auto values = decoded(*t);
  for (dim r = 0; r < 64; ++r)
    for (dim c = 0; c < 128; ++c) {
      const float expected = kValues[(r * 128 + c + r) % 4] * scale(scale_of(r, c));
      ASSERT_NEAR(values[std::size_t(r * 128 + c)], expected, tolerance * std::abs(expected)) << r << " " << c;
    }
}

}  // namespace

TEST(Fp8, BlocksRowsAndTensors) {
  const TempFolder out;
  auto m = fp8_model(".weight_scale_inv", {4, 1});
  m.config["quantization_config"] = {{"quant_method", "fp8"}, {"weight_block_size", {16, 128}}};
  expect_values(Model::open(m.write(out.path / "a")), "fp8_e4m3", [](dim r, dim) { return r / 16; });
  m = fp8_model(".weight_scale_inv", {4, 2});
  m.config["quantization_config"] = {{"quant_method", "fp8"}, {"weight_block_size", {16, 64}}};
  const Model decoded_model = Model::open(m.write(out.path / "b"));
  expect_values(
      decoded_model, "bf16", [](dim r, dim c) { return r / 16 * 2 + c / 64; }, 0x1p-8f);
  ASSERT_EQ(decoded_model.notes().size(), 1u);
  EXPECT_NE(decoded_model.notes()[0].find("blocks of 64 columns"), std::string::npos);
  m = fp8_model(".weight_scale", {1});
  m.config["quantization_config"] = {{"quant_method", "fp8"}};
  expect_values(Model::open(m.write(out.path / "c")), "fp8_e4m3", [](dim, dim) { return 0; });
}

TEST(Fp8, OfCompressedTensors) {
  const TempFolder out;
  auto m = fp8_model(".weight_scale", {64, 1});
  m.config["quantization_config"] = {
      {"quant_method", "compressed-tensors"},
      {"format", "float-quantized"},
      {"config_groups",
       {{"group_0",
         {{"targets", {"Linear"}},
          {"input_activations", {{"num_bits", 8}}},
          {"weights", {{"num_bits", 8}, {"type", "float"}, {"strategy", "channel"}, {"symmetric", true}}}}}}}};
  const Model opened = Model::open(m.write(out.path / "a"));
  expect_values(opened, "fp8_e4m3", [](dim r, dim) { return r; });
  ASSERT_EQ(opened.notes().size(), 1u);
  EXPECT_NE(opened.notes()[0].find("quantizes activations"), std::string::npos);
}

TEST(Fp8, ReopenedRowsAreThoseWritten) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "a"));
  const auto chosen = formats_for(m, [&](const ModelTensor& t) -> const Format* {
    if (t.role == Role::attn_q) return &format_or_throw("int4_g32_sym");
    return is_linear(t.role) ? &format_or_throw("fp8_e4m3") : &f16_format();
  });
  const auto plan = plan_export(m, Container::hf, chosen, "b");
  const Model packed = Model::open(write_plan(m, plan, out.path / "b"));
  for (const ExportTensor& t : plan.tensors) {
    const ModelTensor* to = packed.find(m.tensors()[t.source].role, m.tensors()[t.source].layer);
    ASSERT_TRUE(to);
    ASSERT_EQ(to->weight.format, t.format);
    const auto bytes = encoded(m, t);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), to->weight.data)) << to->name;
  }
  const auto q = nlohmann::json::parse(packed.hf_config())["quantization_config"];
  EXPECT_EQ(q["format"], "mixed-precision");
  EXPECT_EQ(q["config_groups"]["group_0"]["format"], "float-quantized");
  EXPECT_EQ(q["config_groups"]["group_0"]["weights"]["type"], "float");
  EXPECT_EQ(q["config_groups"]["group_1"]["format"], "pack-quantized");
}

TEST(Fp8, DamageIsNamed) {
  const TempFolder out;
  auto m = fp8_model(".weight_scale_inv", {5, 1});
  m.config["quantization_config"] = {{"quant_method", "fp8"}, {"weight_block_size", {16, 128}}};
  EXPECT_NE(fault_of_open(m.write(out.path / "a")).find("expected F32 [4, 1], found F32 [5, 1]"), std::string::npos);
  m.config["quantization_config"]["weight_block_size"] = {0, 128};
  EXPECT_NE(fault_of_open(m.write(out.path / "a")).find("weight_block_size"), std::string::npos);
}

}  // namespace pith::test
