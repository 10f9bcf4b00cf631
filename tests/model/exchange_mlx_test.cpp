#include <nlohmann/json.hpp>

#include "model/exchange/layout.h"
#include "tests/model/exchange_written.h"

namespace pith::test {

namespace {

const std::string kModule = "model.layers.0.self_attn.k_proj";  // 32 x 64

std::filesystem::path write_mlx(const PackedLayer& l, const std::filesystem::path& folder, float grow = 1,
                                const std::string& mode = "affine") {
  WrittenModel m;
  m.drop(kModule + ".weight");
  Bits bits(l.rows * l.cols * l.bits / 32);
  for (dim r = 0; r < l.rows; ++r)
    for (dim c = 0; c < l.cols; ++c) bits.put((r * l.cols + c) * l.bits, l.bits, std::uint32_t(l.code(r, c)));
  add_tensor(m, kModule + ".weight", {l.rows, l.cols * l.bits / 32}, "U32", bits.bytes());
  const auto bf16 = [&](const std::function<float(dim, dim)>& at) {
    return number_bytes<std::uint16_t>(l.rows * l.groups(),
                                       [&](dim i) { return f32_to_bf16(grow * at(i / l.groups(), i % l.groups())); });
  };
  add_tensor(m, kModule + ".scales", {l.rows, l.groups()}, "BF16", bf16([&](dim r, dim g) { return l.scale(r, g); }));
  add_tensor(m, kModule + ".biases", {l.rows, l.groups()}, "BF16", bf16([&](dim r, dim g) { return l.min(r, g); }));
  m.config["quantization"] = {
      {"group_size", 64}, {"bits", 8}, {kModule, {{"group_size", l.group}, {"bits", l.bits}, {"mode", mode}}}};
  m.config["quantization_config"] = m.config["quantization"];
  return m.write(folder);
}

}  // namespace

TEST(Mlx, EveryWidthIsReadOntoItsOwnGrid) {
  const TempFolder out;
  for (const int bits : {2, 3, 4, 5, 6, 8}) {
    const PackedLayer l{.bits = bits};
    const Model m = Model::open(write_mlx(l, out.path / "m"));
    const ModelTensor* t = m.find(Role::attn_k, 0);
    ASSERT_TRUE(t);
    EXPECT_EQ(t->weight.format->name, fmt::format("affine{}_g32", bits));
    const auto values = decoded(*t);
    for (dim r = 0; r < l.rows; ++r)
      for (dim c = 0; c < l.cols; ++c)
        ASSERT_EQ(values[std::size_t(r * l.cols + c)], float(l.code(r, c)) * l.scale(r, c / 32) + l.min(r, c / 32));
  }
}

TEST(Mlx, ScalesBeyondFloat16AreDecodedWithANote) {
  const TempFolder out;
  const PackedLayer l;
  const Model m = Model::open(write_mlx(l, out.path / "m", 0x1p-20f));
  const ModelTensor* t = m.find(Role::attn_k, 0);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->weight.format->name, "bf16");
  ASSERT_EQ(m.notes().size(), 1u);
  EXPECT_NE(m.notes()[0].find("float16 does not hold their scales"), std::string::npos);
  const float exact = 0x1p-20f * (float(l.code(3, 5)) * l.scale(3, 0) + l.min(3, 0));
  EXPECT_NEAR(decoded(*t)[3 * 64 + 5], exact, std::abs(exact) / 256);
}

TEST(Mlx, OtherModesAreRefused) {
  const TempFolder out;
  const std::string fault = fault_of_open(write_mlx({}, out.path / "m", 1, "mxfp4"));
  EXPECT_NE(fault.find("self_attn.k_proj'.mode: expected affine"), std::string::npos) << fault;
}

TEST(Mlx, ThreeBitsAreADenseStream) {
  const Format& f = format_or_throw("affine3_g32");
  std::vector<float> x;
  for (int i = 0; i < 32; ++i) x.push_back(float(i % 8));  // exact with scale 1 and minimum 0
  std::vector<std::byte> row(std::size_t(row_bytes(f, 32)));
  f.encode(f, x.data(), nullptr, 32, RangeSearch{RangeSearch::Kind::minmax, 2.4, 80}, row.data());
  const auto packed = mlx_layout.pack(f, 1, 32, row);
  std::uint32_t words[3];
  std::memcpy(words, packed.at(0).data(), sizeof words);
  EXPECT_EQ(words[0], 0x88fac688u);
  EXPECT_EQ(words[1], 0xc688fac6u);
  EXPECT_EQ(words[2], 0xfac688fau);
  std::uint16_t half;
  std::memcpy(&half, packed.at(1).data(), 2);
  EXPECT_EQ(half, 0x3c00);
}

TEST(Mlx, ReopenedRowsAreThoseWritten) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "a"));
  const auto chosen = formats_for(m, [&](const ModelTensor& t) -> const Format* {
    if (t.vector) return &f16_format();
    if (t.role == Role::embed) return &format_or_throw("affine6_g64");
    if (t.role == Role::attn_v) return &f16_format();
    return &format_or_throw("affine4_g32");
  });
  const auto plan = plan_export(m, Container::mlx, chosen, "b");
  const Model packed = Model::open(write_plan(m, plan, out.path / "b"));
  for (const ExportTensor& t : plan.tensors) {
    const ModelTensor* to = packed.find(m.tensors()[t.source].role, m.tensors()[t.source].layer);
    ASSERT_TRUE(to);
    ASSERT_EQ(to->weight.format, t.format) << to->name;
    const auto bytes = encoded(m, t);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), to->weight.data)) << to->name;
  }
  const auto config = nlohmann::json::parse(packed.hf_config());
  const auto& q = config["quantization"];
  EXPECT_EQ(q["bits"], 4);
  EXPECT_EQ(q["group_size"], 32);
  EXPECT_EQ(q["model.embed_tokens"], (nlohmann::json{{"bits", 6}, {"group_size", 64}, {"mode", "affine"}}));
  EXPECT_EQ(q["model.layers.1.self_attn.v_proj"], false);
  EXPECT_EQ(config["quantization_config"], q);
}

}  // namespace pith::test
