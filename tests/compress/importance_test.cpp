#include "compress/importance.h"

#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

using Entries = std::vector<std::pair<std::string, std::vector<float>>>;

// The older binary form: count, then name, number of calls and sums over them.
std::filesystem::path write_imatrix(const std::filesystem::path& path, const Entries& entries) {
  std::ofstream out(path, std::ios::binary);
  const auto number = [&](std::int32_t n) { out.write(reinterpret_cast<const char*>(&n), 4); };
  number(std::int32_t(entries.size()));
  for (const auto& [name, values] : entries) {
    number(std::int32_t(name.size()));
    out << name;
    number(1);
    number(std::int32_t(values.size()));
    out.write(reinterpret_cast<const char*>(values.data()), std::streamsize(values.size() * 4));
  }
  return path;
}

const ModelTensor& tensor_of(const Model& model, Role role, dim layer, std::size_t& index) {
  for (index = 0; index < model.tensors().size(); ++index)
    if (model.tensors()[index].role == role && model.tensors()[index].layer == layer) return model.tensors()[index];
  throw std::runtime_error("no such tensor");
}

std::vector<float> every_other_column(dim cols) {
  std::vector<float> importance(std::size_t(cols), 0.001f);
  for (std::size_t i = 0; i < importance.size(); i += 2) importance[i] = 10;
  return importance;
}

}  // namespace

TEST(Importance, FindsTensorsByTheirGgufName) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", {}));
  const auto file = write_imatrix(temp.path / "imatrix.dat", {{"blk.1.ffn_down.weight", std::vector<float>(512, 3)}});
  const Importance importance = Importance::load(file, model);
  EXPECT_EQ(importance.size(), 1);
  std::size_t index = 0;
  tensor_of(model, Role::ffn_down, 1, index);
  ASSERT_NE(importance.find(index), nullptr);
  EXPECT_EQ(importance.find(index)[511], 3);
  tensor_of(model, Role::ffn_down, 0, index);
  EXPECT_EQ(importance.find(index), nullptr);
  EXPECT_EQ(Importance().find(0), nullptr);
}

TEST(Importance, RefusesAFileOfAnotherModel) {
  const TempFolder temp;
  const Model model = Model::open(write_model(temp.path / "in", {}));
  const auto load = [&](const Entries& entries) {
    return error_of([&] { Importance::load(write_imatrix(temp.path / "imatrix.dat", entries), model); });
  };
  EXPECT_NE(load({{"blk.1.ffn_down.weight", std::vector<float>(256, 3)}}).find("another model"), std::string::npos);
  EXPECT_NE(load({{"blk.7.ffn_down.weight", std::vector<float>(512, 3)}}).find("none of its 1"), std::string::npos);
}

TEST(Importance, LessErrorWhereItMatters) {
  const TempFolder temp;
  const GeneratedModel m;
  const auto source = write_model(temp.path / "in", m);
  Recipe recipe = recipe_for("q4_0");
  recipe.steps = {};
  const auto error = [&] {  // over the columns that matter
    run(source, recipe, temp.path / "out.gguf", {.max_ram_bytes = {}, .overwrite = true});
    const auto stored = gguf_values(GgufFile(temp.path / "out.gguf"), "blk.0.ffn_up.weight");
    std::vector<float> before;
    for (const auto& t : generated_tensors(m))
      if (t.name == "model.layers.0.mlp.up_proj.weight") before = generated_values(m, t);
    double sum = 0;
    for (std::size_t i = 0; i < before.size(); i += 2) sum += std::pow(double(before[i]) - stored[i], 2);
    return sum;
  };
  const double without = error();
  recipe.importance_file =
      write_imatrix(temp.path / "imatrix.dat", {{"blk.0.ffn_up.weight", every_other_column(m.hidden)}});
  EXPECT_LT(error(), 0.95 * without);
}

}  // namespace pith::test
