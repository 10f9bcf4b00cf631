#include <cmath>
#include <nlohmann/json.hpp>

#include "formats/int_group.h"
#include "model/exchange/layout.h"
#include "tests/model/exchange_written.h"

namespace pith::test {

namespace {

const std::string kModule = "model.layers.1.self_attn.v_proj";  // 32 x 64

struct GptqFile {
  PackedLayer layer = {};
  std::string checkpoint_format = "gptq_v2";
  bool sym = false;
  std::vector<std::uint32_t> subtract = {0};  // from words 0, 1, 2, ... of qzeros, in turn
  std::vector<int> g_idx = {};                // empty: none stored
};

std::string zero_bytes(const GptqFile& f) {
  const PackedLayer& l = f.layer;
  const dim words = l.rows * l.bits / 32;
  std::string out;
  for (dim g = 0; g < l.groups(); ++g) {
    Bits line(words);
    for (dim r = 0; r < l.rows; ++r) line.put(r * l.bits, l.bits, std::uint32_t(l.zero(r, g)));
    const std::string bytes = line.bytes();
    out += number_bytes<std::uint32_t>(words, [&](dim w) {
      std::uint32_t word;
      std::copy_n(bytes.data() + w * 4, 4, reinterpret_cast<char*>(&word));
      return word - f.subtract[std::size_t(w) % f.subtract.size()];
    });
  }
  return out;
}

std::filesystem::path write_gptq(const GptqFile& f, const std::filesystem::path& folder) {
  const PackedLayer& l = f.layer;
  WrittenModel m;
  m.drop(kModule + ".weight");
  std::string weight(std::size_t(l.cols * l.bits / 32 * l.rows * 4), '\0');
  for (dim r = 0; r < l.rows; ++r) {  // column r of the words
    Bits column(l.cols * l.bits / 32);
    for (dim c = 0; c < l.cols; ++c) column.put(c * l.bits, l.bits, std::uint32_t(l.code(r, c)));
    const std::string bytes = column.bytes();
    for (dim w = 0; w < l.cols * l.bits / 32; ++w)
      std::copy_n(bytes.data() + w * 4, 4, weight.data() + (w * l.rows + r) * 4);
  }
  add_tensor(m, kModule + ".qweight", {l.cols * l.bits / 32, l.rows}, "I32", weight);
  add_tensor(m, kModule + ".qzeros", {l.groups(), l.rows * l.bits / 32}, "I32", zero_bytes(f));
  add_tensor(m, kModule + ".scales", {l.groups(), l.rows}, "F16",
             f16_bytes(l.groups() * l.rows, [&](dim i) { return l.scale(i % l.rows, i / l.rows); }));
  if (!f.g_idx.empty())
    add_tensor(m, kModule + ".g_idx", {l.cols}, "I32",
               number_bytes<std::int32_t>(l.cols, [&](dim c) { return f.g_idx[std::size_t(c)]; }));
  m.config["quantization_config"] = {{"quant_method", "gptq"}, {"bits", l.bits},
                                     {"group_size", l.group},  {"sym", f.sym},
                                     {"desc_act", false},      {"checkpoint_format", f.checkpoint_format}};
  return m.write(folder);
}

void expect_values(const Model& m, const GptqFile& f, std::string_view format) {
  const ModelTensor* t = m.find(Role::attn_v, 1);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->name, kModule + ".weight");
  EXPECT_EQ(t->weight.format->name, format);
  const auto values = decoded(*t);
  for (dim r = 0; r < f.layer.rows; ++r)
    for (dim c = 0; c < f.layer.cols; ++c) {
      const dim g = f.g_idx.empty() ? c / f.layer.group : f.g_idx[std::size_t(c)];
      ASSERT_EQ(values[std::size_t(r * f.layer.cols + c)], f.layer.value(r, c, g)) << r << " " << c;
    }
}

}  // namespace

TEST(Gptq, EveryWidthIsReadOntoItsOwnGrid) {
  const TempFolder out;
  for (const int bits : {2, 3, 4, 8})
    for (const bool symmetric : {false, true}) {
      GptqFile f{.layer = {.bits = bits, .symmetric = symmetric}, .sym = symmetric};
      const Model m = Model::open(write_gptq(f, out.path / "m"));
      expect_values(m, f, fmt::format("int{}_g32{}", bits, symmetric ? "_sym" : ""));
      EXPECT_TRUE(m.notes().empty());
    }
}

TEST(Gptq, WordsWithOneTakenAwayAreReadBackThroughTheBorrow) {
  const TempFolder out;
  struct Case {
    int bits;
    std::vector<std::uint32_t> subtract;
  };
  // The zero points include 0, so that fields borrow from their neighbours.
  for (const Case& c : {Case{4, {0x11111111}}, Case{2, {0x55555555}}, Case{8, {0x01010101}},
                        Case{3, {0x49249249, 0x92492492, 0x24924924}}}) {
    GptqFile f{.layer = {.bits = c.bits}, .checkpoint_format = "gptq", .subtract = c.subtract};
    expect_values(Model::open(write_gptq(f, out.path / "m")), f, fmt::format("int{}_g32", c.bits));
  }
}

TEST(Gptq, ThreeBitsOfGptqModelAreKnownByTheirZeroPoints) {
  const TempFolder out;
  GptqFile f{.layer = {.bits = 3, .symmetric = true},
             .checkpoint_format = "gptq",
             .sym = true,
             .subtract = {0x24924924, 0x92492492, 0x49249249}};
  expect_values(Model::open(write_gptq(f, out.path / "m")), f, "int3_g32_sym");
}

TEST(Gptq, ZeroPointsThatContradictTheirConventionAreNoted) {
  const TempFolder out;
  GptqFile f{.layer = {.symmetric = true}, .checkpoint_format = "gptq", .sym = true};  // holds 8s
  const Model m = Model::open(write_gptq(f, out.path / "m"));
  expect_values(m, f, "int4_g32_sym");
  ASSERT_EQ(m.notes().size(), 1u);
  EXPECT_NE(m.notes()[0].find("as gptq_v2 stores them"), std::string::npos) << m.notes()[0];
}

TEST(Gptq, ActOrderIsDecodedWithANote) {
  const TempFolder out;
  GptqFile f{.layer = {}, .g_idx = std::vector<int>(64)};
  for (int c = 0; c < 64; ++c) f.g_idx[std::size_t(c)] = c % 2;
  const Model m = Model::open(write_gptq(f, out.path / "m"));
  expect_values(m, f, "f16");  // these scales are short enough for float16 to hold every product
  ASSERT_EQ(m.notes().size(), 1u);
  EXPECT_NE(m.notes()[0].find("act-order"), std::string::npos);
  for (int c = 0; c < 64; ++c) f.g_idx[std::size_t(c)] = c / 32;  // stored, but in order
  expect_values(Model::open(write_gptq(f, out.path / "m")), f, "int4_g32");
}

TEST(Gptq, LargeGroupsAreRepeated) {
  const TempFolder out;
  GptqFile f{.layer = {.group = 64}};
  expect_values(Model::open(write_gptq(f, out.path / "m")), f, "int4_g64");
  f.layer.group = 16;
  expect_values(Model::open(write_gptq(f, out.path / "m")), f, "f16");
}

namespace {

// Rows whose groups all have scale 1; codes and zeros by functions of row and column.
std::vector<std::byte> rows_of(const Format& f, dim rows, dim cols, const std::function<int(dim, dim)>& code,
                               const std::function<int(dim)>& zero) {
  const auto p = int_group_params(f, cols);
  std::vector<std::byte> out(std::size_t(rows * row_bytes(f, cols)));
  for (dim r = 0; r < rows; ++r)
    for (dim g = 0; g < p.groups; ++g) {
      std::vector<std::int8_t> codes;
      for (dim i = 0; i < p.group; ++i) codes.push_back(std::int8_t(code(r, g * p.group + i)));
      pack_int_group(p, {0x3c00, zero(r)}, codes.data(), out.data() + r * row_bytes(f, cols) + g * p.group_bytes);
    }
  return out;
}

std::uint32_t word(const PackedParts& parts, std::size_t part, std::size_t i) {
  std::uint32_t w;
  std::copy_n(parts.at(part).data() + i * 4, 4, reinterpret_cast<std::byte*>(&w));
  return w;
}

}  // namespace

TEST(Gptq, WordsAreThoseOfTheLibraries) {
  const Format& f = format_or_throw("int4_g32");
  const auto packed = gptq_layout(std::vector{&f})
                          .pack(f, 8, 32,
                                rows_of(
                                    f, 8, 32, [](dim, dim c) { return int(c % 8); }, [](dim r) { return int(r); }));
  EXPECT_EQ(word(packed, 0, 0), 0x76543210u);  // features 0 to 7 of row 0
  EXPECT_EQ(word(packed, 0, 8), 0x76543210u);  // features 8 to 15
  EXPECT_EQ(word(packed, 1, 0), 0x76543210u);  // the zero points of 8 rows, as they are

  const Format& three = format_or_throw("int3_g32");
  const auto stream = gptq_layout(std::vector{&three})
                          .pack(three, 32, 32,
                                rows_of(
                                    three, 32, 32, [](dim, dim c) { return int(c % 8); }, [](dim) { return 0; }));
  EXPECT_EQ(word(stream, 0, 0), 0x88fac688u);
  EXPECT_EQ(word(stream, 0, 32), 0xc688fac6u);
  EXPECT_EQ(word(stream, 0, 64), 0xfac688fau);

  const Format& even = format_or_throw("int4_g32_sym");
  const auto old = gptq_layout(std::vector{&even})
                       .pack(even, 8, 32,
                             rows_of(
                                 even, 8, 32, [](dim, dim c) { return int(c % 8) - 8; }, [](dim) { return 0; }));
  EXPECT_EQ(word(old, 0, 0), 0x76543210u);
  EXPECT_EQ(word(old, 1, 0), 0x77777777u);  // less one
  EXPECT_EQ(word(old, 3, 31), 0u);          // g_idx
}

TEST(Gptq, ReopenedRowsAreThoseWritten) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "a"));
  for (const char* name :
       {"int4_g32", "int4_g32_sym", "int3_g32", "int8_row_sym", "int2_row", "int8_g32", "int3_g32_sym"}) {
    const Format& f = format_or_throw(name);
    const auto chosen =
        formats_for(m, [&](const ModelTensor& t) { return is_linear(t.role) && !t.vector ? &f : &f16_format(); });
    const auto plan = plan_export(m, Container::gptq, chosen, "b");
    const Model packed = Model::open(write_plan(m, plan, out.path / name));
    for (const ExportTensor& t : plan.tensors) {
      const ModelTensor* to = packed.find(m.tensors()[t.source].role, m.tensors()[t.source].layer);
      ASSERT_TRUE(to);
      ASSERT_EQ(to->weight.format, t.format) << name;
      const auto bytes = encoded(m, t);
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), to->weight.data)) << name << " " << to->name;
    }
  }
}

TEST(Gptq, MixturesAreDescribedModuleByModule) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "a"));
  const auto chosen = formats_for(m, [&](const ModelTensor& t) -> const Format* {
    if (t.role == Role::ffn_down) return &format_or_throw("int8_g32");
    if (t.role == Role::attn_v) return &f16_format();
    return is_linear(t.role) ? &format_or_throw("int4_g32_sym") : &f16_format();
  });
  const Model packed = Model::open(write_plan(m, plan_export(m, Container::gptq, chosen, "b"), out.path / "b"));
  const auto q = nlohmann::json::parse(packed.hf_config())["quantization_config"];
  EXPECT_EQ(q["bits"], 4);
  EXPECT_EQ(q["sym"], true);
  EXPECT_EQ(q["checkpoint_format"], "gptq_v2");  // since one of them is not symmetric
  EXPECT_EQ(q["dynamic"]["+:^model\\.layers\\.1\\.mlp\\.down_proj$"],
            (nlohmann::json{{"bits", 8}, {"group_size", 32}, {"sym", false}}));
  EXPECT_TRUE(q["dynamic"]["-:^model\\.layers\\.0\\.self_attn\\.v_proj$"].empty());
  EXPECT_EQ(packed.find(Role::ffn_down, 0)->weight.format->name, "int8_g32");
  EXPECT_EQ(packed.find(Role::ffn_up, 0)->weight.format->name, "int4_g32_sym");
}

TEST(Gptq, DamageIsNamed) {
  const TempFolder out;
  GptqFile f{.layer = {}};
  f.g_idx.assign(64, 7);
  EXPECT_NE(fault_of_open(write_gptq(f, out.path / "m")).find("expected groups 0 to 1, found 7"), std::string::npos);
  f.g_idx.clear();
  f.checkpoint_format = "marlin";
  EXPECT_NE(fault_of_open(write_gptq(f, out.path / "m")).find("checkpoint_format"), std::string::npos);
  f.checkpoint_format = "gptq";
  const auto folder = write_gptq(f, out.path / "m");
  auto config = nlohmann::json::parse(read_file(folder / "config.json"));
  config["quantization_config"]["bits"] = 8;  // than stored
  std::ofstream(folder / "config.json") << config.dump();
  EXPECT_NE(fault_of_open(folder).find("qzeros"), std::string::npos) << fault_of_open(folder);
  config["quantization_config"]["bits"] = 5;
  std::ofstream(folder / "config.json") << config.dump();
  EXPECT_NE(fault_of_open(folder).find("expected 2, 3, 4 or 8 bits"), std::string::npos);
}

}  // namespace pith::test
