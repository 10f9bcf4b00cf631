// A trained model whose folder and GGUF file were made by other programs.
#include "tests/compress/pipeline_support.h"

namespace pith::test {

TEST(RealModel, FolderBecomesTheGgufThatAnotherConverterMade) {
  PITH_NEED_DATA(folder, "models/stories260K/hf");
  PITH_NEED_DATA(other, "models/stories260K/stories260K-f32.gguf");
  const TempFolder temp;
  run(folder, recipe_for("f32"), temp.path / "out.gguf");
  const GgufFile ours(temp.path / "out.gguf"), theirs(other);
  int compared = 0;
  for (const GgufTensor& t : ours.tensors()) {
    ASSERT_NE(theirs.find(t.name), nullptr) << t.name;
    EXPECT_EQ(gguf_values(ours, t.name), gguf_values(theirs, t.name)) << t.name;
    ++compared;
  }
  EXPECT_EQ(compared, 47);  // 5 layers of 9, the embedding, the last norm
}

TEST(RealModel, ThereAndBackIsTheSameFolder) {
  PITH_NEED_DATA(folder, "models/stories260K/hf");
  const TempFolder temp;
  run(folder, recipe_for("f32"), temp.path / "out.gguf");
  run(temp.path / "out.gguf", recipe_for("f32"), temp.path / "back");
  const auto before = SafetensorsSet::open(folder), after = SafetensorsSet::open(temp.path / "back");
  int compared = 0;
  for (const SafeTensor& t : after.tensors()) {
    const SafeTensor* from = before.find(t.name);
    ASSERT_NE(from, nullptr) << t.name;
    ASSERT_EQ(from->dtype, "F32") << t.name;
    ASSERT_EQ(from->size_bytes, t.size_bytes) << t.name;
    EXPECT_EQ(std::memcmp(before.data(*from), after.data(t), std::size_t(t.size_bytes)), 0) << t.name;
    ++compared;
  }
  EXPECT_EQ(compared, 47);
}

}  // namespace pith::test
