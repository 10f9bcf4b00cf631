// Values that are kept apart from a matrix's codes, as files bring them.
#include <gtest/gtest.h>

#include <functional>

#include "tests/model/exchange_written.h"

namespace pith::test {

namespace {

constexpr const char* kBase = "model.layers.1.mlp.gate_proj";

// gate_proj (96, 64) of the second layer as rows of float32, two values of each row apart.
WrittenModel with_outliers() {
  WrittenModel m;
  WrittenTensor& gate = m.at(std::string(kBase) + ".weight");
  gate.name = std::string(kBase) + ".encoded_rows";
  gate.dtype = "U8";
  gate.shape = {96, 256};
  add_tensor(m, std::string(kBase) + ".outlier_columns", {96, 2}, "I16",
             number_bytes<std::int16_t>(192, [](dim i) { return std::int16_t(i % 2 ? 63 : i / 2 % 63); }));
  add_tensor(m, std::string(kBase) + ".outlier_values", {96, 2}, "F16",
             f16_bytes(192, [](dim i) { return float(i) / 64; }));
  m.config["quantization_config"] = {{"quant_method", "pith"},
                                     {"layers", {{kBase, {{"format", "f32"}, {"columns", 64}}}}}};
  return m;
}

std::string fault_after(const std::function<void(WrittenModel&)>& edit) {
  const TempFolder temp;
  WrittenModel m = with_outliers();
  edit(m);
  return fault_of_open(m.write(temp.path / "m"));
}

}  // namespace

TEST(Outliers, AreAddedToTheirMatrix) {
  const TempFolder temp;
  const Model plain = Model::open(WrittenModel().write(temp.path / "a"));
  const Model m = Model::open(with_outliers().write(temp.path / "b"));
  const ModelTensor &before = *plain.find(Role::ffn_gate, 1), &after = *m.find(Role::ffn_gate, 1);
  ASSERT_TRUE(after.outliers);
  std::vector<float> a(64), b(64), c(64);
  for (const dim row : {0, 5, 95}) {
    decode_row(before, row, a.data());
    decode_row(after, row, b.data());
    decode_weight_row(*m.blocks()[1].gate.weight, row, c.data(), nullptr);
    a[std::size_t(row % 63)] += float(2 * row) / 64;
    a[63] += float(2 * row + 1) / 64;
    EXPECT_EQ(a, b) << row;
    EXPECT_EQ(a, c) << row;
  }
  EXPECT_EQ(bytes_of(after), bytes_of(before) + 96 * 2 * (2 + 2));
}

TEST(Outliers, DamagedFoldersAreRefused) {
  const auto columns = [](WrittenModel& m) -> WrittenTensor& { return m.at(std::string(kBase) + ".outlier_columns"); };
  const auto values = [](WrittenModel& m) -> WrittenTensor& { return m.at(std::string(kBase) + ".outlier_values"); };
  EXPECT_EQ(fault_after([](WrittenModel&) {}), "none");
  const auto expect = [&](const char* text, const std::function<void(WrittenModel&)>& edit) {
    const std::string fault = fault_after(edit);
    EXPECT_NE(fault.find(text), std::string::npos) << text << ": " << fault;
  };
  expect("expected ascending columns below 64 in row 1", [&](WrittenModel& m) { columns(m).bytes[4] = 63; });
  expect("expected ascending columns below 64 in row 0, got -1",
         [&](WrittenModel& m) { columns(m).bytes[0] = columns(m).bytes[1] = char(0xff); });
  expect("expected ascending columns below 64 in row 95, got 319", [&](WrittenModel& m) { columns(m).bytes[383] = 1; });
  expect("one is missing", [&](WrittenModel& m) { m.drop(columns(m).name); });
  expect("expected I16", [&](WrittenModel& m) { columns(m).dtype = "U16"; });
  expect("expected F16", [&](WrittenModel& m) { values(m).dtype = "BF16"; });
  expect("outlier_values", [&](WrittenModel& m) { values(m).shape = {2, 96}; });
  expect("outlier_values", [&](WrittenModel& m) { values(m).shape = {192}; });
  expect("outlier_columns", [&](WrittenModel& m) { columns(m).shape = {192, 1}; });
  expect("layers: expected an object", [](WrittenModel& m) { m.config["quantization_config"].erase("layers"); });
  const auto layer = [](WrittenModel& m) -> nlohmann::json& {
    return m.config["quantization_config"]["layers"][kBase];
  };
  expect("expected a format", [&](WrittenModel& m) { layer(m)["format"] = "int9"; });
  expect("expected U8 [96, 252]", [&](WrittenModel& m) { layer(m)["columns"] = 63; });
  expect("columns", [&](WrittenModel& m) { layer(m)["columns"] = -4; });
  expect("expected a multiple of 32", [&](WrittenModel& m) {
    layer(m)["columns"] = 40;
    layer(m)["format"] = "q8_0";
  });
  expect("encoded_rows", [&](WrittenModel& m) { m.config["quantization_config"]["layers"]["x"] = layer(m); });
}

TEST(Outliers, DamagedGgufFilesAreRefused) {
  const TempFolder temp;
  const Model source = Model::open(WrittenModel().write(temp.path / "a"));
  std::vector<const Format*> formats(source.tensors().size(), &f32_format());
  std::vector<OutlierShape> outliers(formats.size());
  for (std::size_t i = 0; i < outliers.size(); ++i)
    if (source.tensors()[i].role == Role::ffn_gate) outliers[i] = {2, false};
  const auto plan = plan_export(source, Container::gguf, formats, "m.gguf", dim(1) << 30, outliers);
  const auto file = write_plan(source, plan, temp.path);
  const auto fault = [&](std::string bytes) {
    std::ofstream(temp.path / "bad.gguf", std::ios::binary) << bytes;
    return fault_of_open(temp.path / "bad.gguf");
  };
  const std::string whole = read_file(file);
  // Nothing was written where the outliers belong: the columns of row 0 are 0 and 0.
  EXPECT_NE(fault(whole).find("expected ascending columns below 64 in row 0, got 0 after 0"), std::string::npos);
  std::string good = whole;
  for (const ExportTensor& t : plan.tensors)
    if (t.outlier_columns)
      for (dim r = 0; r < 96; ++r) good[std::size_t(t.outlier_columns->offset_bytes + 4 * r + 2)] = 9;
  EXPECT_EQ(fault(good), "none");
  const auto renamed = [&](std::string_view from, std::string_view to) {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    return fault(bytes);
  };
  EXPECT_NE(renamed("blk.1.ffn_gate.outlier_values", "blk.1.ffn_gatx.outlier_values").find("no partner"),
            std::string::npos);
  EXPECT_NE(renamed("blk.1.ffn_gate.outlier_columns", "blk.1.ffn_gate.outlier_colums_").find("no partner"),
            std::string::npos);
  std::string version = good;
  version[version.find("pith.outliers") + 13 + 4] = 2;
  EXPECT_NE(fault(version).find("key pith.outliers: expected 1, got 2"), std::string::npos);
}

}  // namespace pith::test
