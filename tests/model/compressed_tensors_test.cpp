#include <nlohmann/json.hpp>

#include "formats/format.h"
#include "formats/int_group.h"
#include "model/exchange/layout.h"
#include "tests/model/write_plan.h"
#include "tests/model/written_model.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

template <class T>
std::vector<T> part(const PackedParts& parts, std::size_t i) {
  std::vector<T> out(parts.at(i).size() / sizeof(T));
  std::copy_n(parts[i].data(), parts[i].size(), reinterpret_cast<std::byte*>(out.data()));
  return out;
}
PackedParts pack(const Format& f, dim rows, dim cols, const std::vector<std::byte>& encoded) {
  return compressed_tensors_layout.pack(f, rows, cols, encoded);
}
using Words = std::vector<std::uint32_t>;

// A matrix of groups with these codes (the rest of a group is `rest`), scale 1 and zero points.
std::vector<std::byte> encoded_rows(const Format& f, dim rows, dim cols, const std::vector<int>& codes, int rest,
                                    const std::vector<int>& zeros) {
  const auto p = int_group_params(f, cols);
  std::vector<std::byte> out(std::size_t(rows * row_bytes(f, cols)));
  std::vector<std::int8_t> group(std::size_t(p.group), std::int8_t(rest));
  std::copy(codes.begin(), codes.end(), group.begin());
  for (dim i = 0; i < rows * p.groups; ++i)
    pack_int_group(p, {0x3c00, zeros.empty() ? 0 : zeros[std::size_t(i)]}, group.data(),
                   out.data() + i * p.group_bytes);
  return out;
}

TEST(CompressedTensors, FourBitWordsAreThoseOfTheLibrary) {
  const Format& f = format_or_throw("int4_g32_sym");
  const auto packed = pack(f, 1, 32, encoded_rows(f, 1, 32, {-8, -7, -1, 0, 1, 2, 6, 7}, 0, {}));
  EXPECT_EQ(part<std::uint32_t>(packed, 0), (Words{0xfea98710, 0x88888888, 0x88888888, 0x88888888}));
  EXPECT_EQ(part<std::uint16_t>(packed, 1), std::vector<std::uint16_t>{0x3c00});
  ASSERT_EQ(packed.size(), 3u);
  EXPECT_EQ(part<std::int64_t>(packed, 2), (std::vector<std::int64_t>{1, 32}));
}

TEST(CompressedTensors, ThreeBitsAreADenseStream) {
  const Format& f = format_or_throw("int3_g32_sym");
  const auto packed = pack(f, 1, 32, encoded_rows(f, 1, 32, {-4, -3, -2, -1, 0, 1, 2, 3, -4, -3, -2}, -4, {}));
  EXPECT_EQ(part<std::uint32_t>(packed, 0), (Words{0x88fac688, 0x00000000, 0x00000000}));
}

TEST(CompressedTensors, EightBitCodesAreOffsetBy128) {
  const Format& f = format_or_throw("int8_row_sym");
  const auto packed = pack(f, 1, 4, encoded_rows(f, 1, 4, {-128, -1, 0, 127}, 0, {}));
  EXPECT_EQ(part<std::uint32_t>(packed, 0), (Words{0xff807f00}));
}

TEST(CompressedTensors, ZeroPointsArePackedDownTheRows) {
  const Format& f = format_or_throw("int4_g32");
  std::vector<int> zeros;  // row r: r in its first group, 15 - r in its second
  for (int r = 0; r < 9; ++r) {
    zeros.push_back(r);
    zeros.push_back(15 - r);
  }
  const auto packed = pack(f, 9, 64, encoded_rows(f, 9, 64, {15}, 1, zeros));
  EXPECT_EQ(part<std::uint32_t>(packed, 0)[0], 0x1111111fu);
  EXPECT_EQ(part<std::uint32_t>(packed, 2), (Words{0x76543210, 0x89abcdef, 0x00000008, 0x00000007}));
}

struct Case {
  std::string_view format;
  int bits;
  bool symmetric;
  std::string_view strategy;
};
constexpr Case kCases[] = {
    {"int4_g32_sym", 4, true, "group"}, {"int4_g32", 4, false, "group"}, {"int8_row_sym", 8, true, "channel"},
    {"int8_g32", 8, false, "group"},    {"int3_g32", 3, false, "group"}, {"int2_row", 2, false, "channel"},
    {"int2_g32_sym", 2, true, "group"},
};

TEST(CompressedTensors, ReopenedRowsAreThoseWritten) {
  const test::TempFolder out;
  const Model m = Model::open(test::WrittenModel().write(out.path / "a"));
  for (const Case& c : kCases) {
    const Format& f = format_or_throw(c.format);
    const auto chosen =
        test::formats_for(m, [&](const ModelTensor& t) { return is_linear(t.role) && !t.vector ? &f : &f16_format(); });
    const auto plan = plan_export(m, Container::hf, chosen, "b");
    const Model packed = Model::open(test::write_plan(m, plan, out.path / std::string(c.format)));
    for (const ExportTensor& t : plan.tensors) {
      const ModelTensor& from = m.tensors()[t.source];
      const ModelTensor* to = packed.find(from.role, from.layer);
      ASSERT_TRUE(to) << from.name;
      EXPECT_EQ(to->name, from.name);
      EXPECT_EQ(to->weight.format, t.format) << c.format;
      const auto bytes = test::encoded(m, t);
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), to->weight.data)) << c.format << " " << from.name;
    }
    const auto q = nlohmann::json::parse(packed.hf_config())["quantization_config"];
    const auto& group = q["config_groups"]["group_0"];
    EXPECT_EQ(q["quant_method"], "compressed-tensors");
    EXPECT_EQ(q["format"], "pack-quantized");
    EXPECT_EQ(q["ignore"], nlohmann::json::array({"lm_head"}));
    EXPECT_EQ(group["targets"], nlohmann::json::array({"Linear"}));
    EXPECT_EQ(group["weights"]["num_bits"], c.bits);
    EXPECT_EQ(group["weights"]["symmetric"], c.symmetric);
    EXPECT_EQ(group["weights"]["strategy"], c.strategy);
    EXPECT_EQ(group["weights"]["group_size"], c.strategy == "group" ? nlohmann::json(32) : nlohmann::json());
  }
}

TEST(CompressedTensors, SeveralFormatsNameTheirModules) {
  const test::TempFolder out;
  const Model m = Model::open(test::WrittenModel().write(out.path / "a"));
  const auto chosen = test::formats_for(m, [&](const ModelTensor& t) {
    if (t.role == Role::ffn_down) return &format_or_throw("int8_g32_sym");
    if (t.role == Role::attn_v) return &f32_format();
    return is_linear(t.role) ? &format_or_throw("int4_g32_sym") : &f32_format();
  });
  const Model packed = Model::open(test::write_plan(m, plan_export(m, Container::hf, chosen, "b"), out.path / "b"));
  EXPECT_EQ(packed.find(Role::ffn_down, 1)->weight.format->name, "int8_g32_sym");
  EXPECT_EQ(packed.find(Role::ffn_up, 1)->weight.format->name, "int4_g32_sym");
  EXPECT_EQ(packed.find(Role::attn_v, 0)->weight.format->name, "f32");
  const auto q = nlohmann::json::parse(packed.hf_config())["quantization_config"];
  EXPECT_EQ(q["ignore"],
            nlohmann::json::array({"model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.v_proj", "lm_head"}));
  EXPECT_EQ(q["config_groups"]["group_1"]["targets"],
            nlohmann::json::array({"model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj"}));

  // and widened again, the record of the quantization is gone
  const Model wide = Model::open(
      test::write_plan(packed, plan_export(packed, Container::hf, test::all_f32(packed), "c"), out.path / "c"));
  EXPECT_FALSE(nlohmann::json::parse(wide.hf_config()).contains("quantization_config"));
  EXPECT_EQ(test::decoded(*wide.find(Role::ffn_up, 0)), test::decoded(*packed.find(Role::ffn_up, 0)));
}

struct Damage {
  const char* what;
  void (*apply)(nlohmann::json& quantization);
  const char* expected;
};
const Damage kDamages[] = {
    {"another method", [](auto& q) { q["quant_method"] = "quip"; }, "quantization_config.quant_method"},
    {"another layout", [](auto& q) { q["config_groups"]["group_0"]["format"] = "marlin-24"; },
     "config_groups.'group_0'.format"},
    {"no groups", [](auto& q) { q.erase("config_groups"); }, "config_groups"},
    {"no weights", [](auto& q) { q["config_groups"]["group_0"].erase("weights"); }, "weights, it is missing"},
    {"odd bits", [](auto& q) { q["config_groups"]["group_0"]["weights"]["num_bits"] = 9; }, "num_bits"},
    {"floats", [](auto& q) { q["config_groups"]["group_0"]["weights"]["type"] = "float"; }, "weights.type"},
    {"other bits than stored", [](auto& q) { q["config_groups"]["group_0"]["weights"]["num_bits"] = 8; },
     "weight_packed"},
    {"other groups than stored", [](auto& q) { q["config_groups"]["group_0"]["weights"]["group_size"] = 64; },
     "weight_s"},
};

TEST(CompressedTensors, DamagedDescriptionsAreRefused) {
  const test::TempFolder out;
  const Model m = Model::open(test::WrittenModel().write(out.path / "a"));
  const auto chosen = test::formats_for(
      m, [&](const ModelTensor& t) { return is_linear(t.role) ? &format_or_throw("int4_g32_sym") : &f32_format(); });
  const auto folder = test::write_plan(m, plan_export(m, Container::hf, chosen, "b"), out.path / "b");
  const auto config = nlohmann::json::parse(test::read_file(folder / "config.json"));
  for (const Damage& damage : kDamages) {
    auto damaged = config;
    damage.apply(damaged["quantization_config"]);
    std::ofstream(folder / "config.json") << damaged.dump();
    try {
      (void)Model::open(folder);
      ADD_FAILURE() << damage.what;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(damage.expected), std::string::npos) << damage.what << ": " << e.what();
    }
  }
}

}  // namespace
}  // namespace pith
