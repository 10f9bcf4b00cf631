#include <nlohmann/json.hpp>

#include "model/exchange/layout.h"
#include "tests/model/exchange_written.h"

namespace pith::test {

namespace {

constexpr float kCodes[16] = {-1.0f,
                              -0.6961928009986877f,
                              -0.5250730514526367f,
                              -0.39491748809814453f,
                              -0.28444138169288635f,
                              -0.18477343022823334f,
                              -0.09105003625154495f,
                              0.0f,
                              0.07958029955625534f,
                              0.16093020141124725f,
                              0.24611230194568634f,
                              0.33791524171829224f,
                              0.44070982933044434f,
                              0.5626170039176941f,
                              0.7229568362236023f,
                              1.0f};
const std::string kModule = "model.layers.0.self_attn.k_proj";  // 32 x 64: 32 blocks
const std::string kWeight = kModule + ".weight";

int code(dim i) { return int((i * 7 + i / 64) % 16); }

struct Nf4File {
  bool nested = false;
  nlohmann::json state = {{"quant_type", "nf4"}, {"blocksize", 64}, {"dtype", "bfloat16"}, {"shape", {32, 64}}};
};

float nested_map(dim i) { return float(i - 128) / 128; }
float absmax(const Nf4File& f, dim block) {
  return f.nested ? nested_map(block * 7 % 256) * 0.03f + 0.1f : 0.01f * float(block + 1);
}

std::filesystem::path write_nf4(const Nf4File& f, const std::filesystem::path& folder) {
  WrittenModel m;
  m.drop(kWeight);
  add_tensor(m, kWeight, {1024, 1}, "U8",
             number_bytes<std::uint8_t>(1024, [](dim i) { return std::uint8_t(code(2 * i) << 4 | code(2 * i + 1)); }));
  add_tensor(m, kWeight + ".quant_map", {16}, "F32", number_bytes<float>(16, [](dim i) { return kCodes[i]; }));
  auto state = f.state;
  if (f.nested) {
    add_tensor(m, kWeight + ".absmax", {32}, "U8",
               number_bytes<std::uint8_t>(32, [](dim i) { return std::uint8_t(i * 7 % 256); }));
    add_tensor(m, kWeight + ".nested_absmax", {1}, "F32", number_bytes<float>(1, [](dim) { return 0.03f; }));
    add_tensor(m, kWeight + ".nested_quant_map", {256}, "F32", number_bytes<float>(256, nested_map));
    state.update({{"nested_blocksize", 256}, {"nested_dtype", "float32"}, {"nested_offset", 0.1}});
  } else {
    add_tensor(m, kWeight + ".absmax", {32}, "F32", number_bytes<float>(32, [&](dim b) { return absmax(f, b); }));
  }
  const std::string text = state.dump();
  add_tensor(m, kWeight + ".quant_state.bitsandbytes__nf4", {dim(text.size())}, "U8", text);
  m.config["quantization_config"] = {{"quant_method", "bitsandbytes"}, {"load_in_4bit", true}};
  return m.write(folder);
}

}  // namespace

TEST(Bitsandbytes, Nf4IsReadWithItsScales) {
  const TempFolder out;
  for (const bool nested : {false, true}) {
    const Nf4File f{.nested = nested};
    const Model m = Model::open(write_nf4(f, out.path / "m"));
    const ModelTensor* t = m.find(Role::attn_k, 0);
    ASSERT_TRUE(t);
    EXPECT_EQ(t->weight.format->name, "nf4_b64");
    const auto values = decoded(*t);
    for (dim i = 0; i < 2048; ++i) ASSERT_EQ(values[std::size_t(i)], kCodes[code(i)] * absmax(f, i / 64)) << i;
  }
}

TEST(Bitsandbytes, BytesAreThoseOfTheLibrary) {
  const Format& f = format_or_throw("nf4_b64");
  std::vector<float> x(64, 0.0f);
  x[0] = 0.5f;
  x[1] = -1;
  x[3] = 2;
  std::vector<std::byte> row(std::size_t(row_bytes(f, 64)));
  f.encode(f, x.data(), nullptr, 64, RangeSearch{RangeSearch::Kind::minmax, 2.4, 80}, row.data());
  const auto parts = bitsandbytes_layout.pack(f, 1, 64, row);
  EXPECT_EQ(parts.at(0)[0], std::byte(0xa2));
  EXPECT_EQ(parts.at(0)[1], std::byte(0x7f));
  float two;
  std::memcpy(&two, parts.at(1).data(), 4);
  EXPECT_EQ(two, 2.0f);
}

TEST(Bitsandbytes, ReopenedRowsAreThoseWritten) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "a"));
  const auto chosen = formats_for(m, [&](const ModelTensor& t) -> const Format* {
    return is_linear(t.role) && t.weight.cols == 64 ? &format_or_throw("nf4_b64") : &f16_format();
  });
  const auto plan = plan_export(m, Container::bnb, chosen, "b");
  const Model packed = Model::open(write_plan(m, plan, out.path / "b"));
  for (const ExportTensor& t : plan.tensors) {
    const ModelTensor* to = packed.find(m.tensors()[t.source].role, m.tensors()[t.source].layer);
    ASSERT_TRUE(to);
    ASSERT_EQ(to->weight.format, t.format);
    const auto bytes = encoded(m, t);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), to->weight.data)) << to->name;
  }
  const auto q = nlohmann::json::parse(packed.hf_config())["quantization_config"];
  EXPECT_EQ(q["bnb_4bit_quant_type"], "nf4");
  EXPECT_EQ(q["llm_int8_skip_modules"],
            nlohmann::json::array({"model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj", "lm_head"}));
}

TEST(Bitsandbytes, DamageIsNamed) {
  const TempFolder out;
  Nf4File f;
  f.state["shape"] = {64, 64};
  EXPECT_NE(fault_of_open(write_nf4(f, out.path / "m")).find("expected U8 [2048, 1], found U8 [1024, 1]"),
            std::string::npos);
  f.state["shape"] = {-1, 64};
  EXPECT_NE(fault_of_open(write_nf4(f, out.path / "m")).find("shape: expected two sizes"), std::string::npos);
  f.state["shape"] = {32, 64};
  f.state["blocksize"] = 48;
  EXPECT_NE(fault_of_open(write_nf4(f, out.path / "m")).find("multiples of 64"), std::string::npos);
}

}  // namespace pith::test
