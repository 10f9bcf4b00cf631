#include <nlohmann/json.hpp>

#include "formats/int_group.h"
#include "model/exchange/layout.h"
#include "tests/model/exchange_written.h"

namespace pith::test {

namespace {

const std::string kModule = "model.layers.0.self_attn.k_proj";  // 32 x 64
constexpr int kNibbleHolds[8] = {0, 2, 4, 6, 1, 3, 5, 7};       // which of eight columns nibble i is

// Lines of eight nibbles to a word.
std::string interleaved(dim lines, dim columns, const std::function<int(dim, dim)>& at) {
  Bits bits(lines * columns / 8);
  for (dim line = 0; line < lines; ++line)
    for (dim w = 0; w < columns / 8; ++w)
      for (dim i = 0; i < 8; ++i)
        bits.put((line * columns / 8 + w) * 32 + i * 4, 4, std::uint32_t(at(line, w * 8 + kNibbleHolds[i])));
  return bits.bytes();
}

std::filesystem::path write_awq(const PackedLayer& l, const std::filesystem::path& folder,
                                const nlohmann::json& more = nlohmann::json::object()) {
  WrittenModel m;
  m.drop(kModule + ".weight");
  add_tensor(m, kModule + ".qweight", {l.cols, l.rows / 8}, "I32",
             interleaved(l.cols, l.rows, [&](dim c, dim r) { return l.code(r, c); }));
  add_tensor(m, kModule + ".qzeros", {l.groups(), l.rows / 8}, "I32",
             interleaved(l.groups(), l.rows, [&](dim g, dim r) { return l.zero(r, g); }));
  add_tensor(m, kModule + ".scales", {l.groups(), l.rows}, "F16",
             f16_bytes(l.groups() * l.rows, [&](dim i) { return l.scale(i % l.rows, i / l.rows); }));
  m.config["quantization_config"] = {
      {"quant_method", "awq"}, {"version", "gemm"}, {"bits", 4}, {"group_size", l.group}, {"zero_point", true}};
  m.config["quantization_config"].update(more);
  return m.write(folder);
}

}  // namespace

TEST(Awq, IsReadOntoItsOwnGrid) {
  const TempFolder out;
  for (const dim group : {32, 64}) {
    const PackedLayer l{.group = group};
    const Model m = Model::open(write_awq(l, out.path / "m"));
    const ModelTensor* t = m.find(Role::attn_k, 0);
    ASSERT_TRUE(t);
    EXPECT_EQ(t->weight.format->name, fmt::format("int4_g{}", group));
    const auto values = decoded(*t);
    for (dim r = 0; r < l.rows; ++r)
      for (dim c = 0; c < l.cols; ++c) ASSERT_EQ(values[std::size_t(r * l.cols + c)], l.value(r, c));
  }
}

TEST(Awq, WordsAreThoseOfTheLibrary) {
  const Format& f = format_or_throw("int4_g32");
  const auto p = int_group_params(f, 32);
  std::vector<std::byte> rows(std::size_t(8 * row_bytes(f, 32)));
  for (int r = 0; r < 8; ++r) {  // row r: all codes r, zero point 7 - r
    const std::vector<std::int8_t> codes(32, std::int8_t(r));
    pack_int_group(p, {0x3c00, 7 - r}, codes.data(), rows.data() + r * row_bytes(f, 32));
  }
  const auto packed = awq_layout.pack(f, 8, 32, rows);
  std::uint32_t word;
  std::memcpy(&word, packed.at(0).data(), 4);
  EXPECT_EQ(word, 0x75316420u);
  std::memcpy(&word, packed.at(0).data() + 31 * 4, 4);
  EXPECT_EQ(word, 0x75316420u);
  std::memcpy(&word, packed.at(1).data(), 4);
  EXPECT_EQ(word, 0x02461357u);
}

TEST(Awq, ReopenedRowsAreThoseWritten) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "a"));
  for (const char* name : {"int4_g32", "int4_row"}) {
    const Format& f = format_or_throw(name);
    const auto chosen = formats_for(
        m, [&](const ModelTensor& t) { return is_linear(t.role) && t.role != Role::attn_o ? &f : &f16_format(); });
    const auto plan = plan_export(m, Container::awq, chosen, "b");
    const Model packed = Model::open(write_plan(m, plan, out.path / name));
    for (const ExportTensor& t : plan.tensors) {
      const ModelTensor* to = packed.find(m.tensors()[t.source].role, m.tensors()[t.source].layer);
      ASSERT_TRUE(to);
      ASSERT_EQ(to->weight.format, t.format) << name;
      const auto bytes = encoded(m, t);
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), to->weight.data)) << name << " " << to->name;
    }
    const auto q = nlohmann::json::parse(packed.hf_config())["quantization_config"];
    EXPECT_EQ(q["version"], "gemm");
    EXPECT_EQ(q["group_size"], f.block == 0 ? -1 : 32);
    EXPECT_EQ(q["modules_to_not_convert"],
              nlohmann::json::array({"model.layers.0.self_attn.o_proj", "model.layers.1.self_attn.o_proj"}));
  }
}

TEST(Awq, OneGroupSizeForAll) {
  const TempFolder out;
  const Model m = Model::open(WrittenModel().write(out.path / "a"));
  const auto chosen = formats_for(m, [&](const ModelTensor& t) -> const Format* {
    if (t.role == Role::ffn_up) return &format_or_throw("int4_g64");
    return is_linear(t.role) ? &format_or_throw("int4_g32") : &f16_format();
  });
  EXPECT_THROW((void)plan_export(m, Container::awq, chosen, "b"), Error);
  EXPECT_NE(misfit(Container::awq, format_or_throw("int8_g32"), *m.find(Role::ffn_up, 0)), "");
  EXPECT_NE(misfit(Container::awq, format_or_throw("int4_g32"), *m.find(Role::embed, -1)), "");
  EXPECT_EQ(misfit(Container::awq, format_or_throw("int4_g32"), *m.find(Role::ffn_up, 0)), "");
}

TEST(Awq, OtherVersionsAndDamageAreRefused) {
  const TempFolder out;
  const PackedLayer l;
  EXPECT_NE(fault_of_open(write_awq(l, out.path / "m", {{"version", "gemv"}})).find("version"), std::string::npos);
  EXPECT_NE(fault_of_open(write_awq(l, out.path / "m", {{"bits", 8}})).find("bits"), std::string::npos);
  PackedLayer narrow = l;
  narrow.rows = 24;  // not the shape of the model
  EXPECT_NE(fault_of_open(write_awq(narrow, out.path / "m")).find("expected shape [32, 64], found [24, 64]"),
            std::string::npos);
}

}  // namespace pith::test
