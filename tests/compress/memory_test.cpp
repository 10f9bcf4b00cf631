#include "core/memory.h"

#include "tests/compress/pipeline_support.h"
#include "tests/sanitizers.h"

namespace pith::test {

namespace {

// Peak resident bytes of a child that compresses this model, and what the preflight had said.
struct Peak {
  dim measured = 0, predicted = 0;
};

Peak peak_of(const GeneratedModel& m) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", m);
  in_child([&] {
    const Outcome outcome = run(source, recipe_for("q4_0"), temp.path / "out.gguf");
    std::ofstream(temp.path / "peak") << outcome.peak_ram_bytes << " " << outcome.preflight.peak_ram_bytes;
  });
  Peak peak;
  std::ifstream(temp.path / "peak") >> peak.measured >> peak.predicted;
  return peak;
}

}  // namespace

TEST(Memory, DoesNotGrowWithDepth) {
#ifdef PITH_SANITIZED
  GTEST_SKIP() << "sanitizers keep memory of their own";
#endif
  GeneratedModel m{.layers = 6, .hidden = 256, .ffn = 1024, .dtype = "BF16"};  // 2 MB a layer
  const Peak shallow = peak_of(m);
  m.layers = 60;
  const Peak deep = peak_of(m);
  ASSERT_GT(shallow.measured, 0);
  ASSERT_GT(deep.measured, 0);
  EXPECT_LT(deep.measured - shallow.measured, dim(16) << 20);  // the file has grown by 106 MB
  const dim block_bytes = dim(4) * (256 * 256 * 3 + 3 * 256 * 1024), embedding_bytes = dim(4) * 96 * 256;
  EXPECT_LT(deep.measured, block_bytes + embedding_bytes + (dim(200) << 20));
  EXPECT_LE(deep.measured, deep.predicted);
  EXPECT_LE(shallow.measured, shallow.predicted);
}

// Packed layers are stored otherwise than they are used: they are moved, one by one, and set aside.
TEST(Memory, PackedFoldersDoNotGrowItEither) {
#ifdef PITH_SANITIZED
  GTEST_SKIP() << "sanitizers keep memory of their own";
#endif
  const TempFolder temp;
  const auto dense = write_model(temp.path / "in", {.layers = 40, .hidden = 256, .ffn = 2048, .dtype = "BF16"});
  struct {
    Container container;
    const char *format, *folder;
  } const cases[] = {{Container::gptq, "int4_g128", "gptq"},
                     {Container::awq, "int4_g128", "awq"},
                     {Container::mlx, "affine4_g64", "mlx"}};
  for (const auto& c : cases) {
    const auto folder = temp.path / c.folder;
    ASSERT_EQ(in_child([&] { compress(Model::open(dense), recipe_for(c.format), c.container, folder, {}); }), 0);
    const dim packed_bytes = dim(std::filesystem::file_size(folder / "model.safetensors"));
    ASSERT_GT(packed_bytes, dim(33) << 20) << c.folder;  // 70.8 million weights of 4 bits
    ASSERT_EQ(in_child([&] {
                const dim before = current_ram_bytes();
                const Model model = Model::open(folder);
                std::ofstream(temp.path / "peak") << peak_ram_bytes() - before;
              }),
              0);
    dim grown = packed_bytes;
    std::ifstream(temp.path / "peak") >> grown;
    EXPECT_LT(grown, dim(12) << 20) << c.folder;
  }
}

TEST(Memory, SeesWhatThisProcessTouches) {
#ifdef PITH_SANITIZED
  GTEST_SKIP() << "sanitizers keep memory of their own";
#endif
  const dim before = peak_ram_bytes();
  ASSERT_GT(before, 0);
  std::vector<char> touched(std::size_t(64) << 20, 1);
  EXPECT_GT(touched.back(), 0);
  const dim slack = dim(1) << 20;  // the system counts pages in batches
  EXPECT_LE(current_ram_bytes(), peak_ram_bytes() + slack);
  EXPECT_GE(current_ram_bytes(), dim(32) << 20);
  EXPECT_GE(peak_ram_bytes() - before, dim(32) << 20);
}

}  // namespace pith::test
