// Whole runs that prune: what is stored, where it may be stored, and what comes back.
#include <fstream>

#include "model/model.h"
#include "tests/compress/pipeline_support.h"

namespace pith::test {
namespace {

namespace fs = std::filesystem;

class PruneRun : public ::testing::Test {
 protected:
  void SetUp() override { source_ = write_model(root_ / "source", {.dtype = "BF16"}); }
  static RunLimits again() {
    RunLimits limits;
    limits.overwrite = true;
    return limits;
  }
  static Recipe recipe(const char* method, std::vector<std::string> options = {}) {
    Recipe r;
    r.steps = steps_of(method, options);
    if (!needs_text(r)) return r;
    r.calibration.emplace();  // the model writes it
    r.calibration->samples = 2;
    r.calibration->length = 32;
    return r;
  }
  Outcome prune(const Recipe& r, Container container, const char* target, const RunLimits& limits = {}) const {
    return compress(Model::open(source_), r, container, root_ / target, limits);
  }
  static std::vector<float> values(const ModelTensor& t) {
    std::vector<float> out(std::size_t(t.weight.rows * t.weight.cols));
    for (dim r = 0; r < t.weight.rows; ++r) decode_row(t, r, out.data() + r * t.weight.cols);
    return out;
  }
  void expect_same_values(const fs::path& a, const fs::path& b) const {
    const Model one = Model::open(a), other = Model::open(b);
    ASSERT_EQ(one.tensors().size(), other.tensors().size());
    for (std::size_t i = 0; i < one.tensors().size(); ++i)
      EXPECT_EQ(values(one.tensors()[i]), values(other.tensors()[i])) << one.tensors()[i].name;
  }

  TempFolder temp_;
  fs::path root_ = temp_.path, source_;
};

}  // namespace

// Linear layers of 2 blocks: q, o (256 x 256), k, v (128 x 256), gate, up (512 x 256), down (256 x 512).
TEST_F(PruneRun, WritesExactlySoManyZeros) {
  const Outcome out = prune(recipe("magnitude", {"sparsity=30"}), Container::hf, "dense");
  dim zeros = 0, values = 0;
  for (std::size_t i = 0; i < out.tensors.size(); ++i) {
    const TensorOutcome& t = out.tensors[i];
    if (!is_linear(t.role)) {
      EXPECT_EQ(t.zeros, 0) << t.name;
      continue;
    }
    zeros += t.zeros;
    values += t.values;
  }
  EXPECT_EQ(values, 2 * (2 * 65536 + 2 * 32768 + 3 * 131072));
  EXPECT_EQ(zeros, 2 * (2 * 19661 + 2 * 9830 + 3 * 39322));  // 30 % of each, rounded
  EXPECT_NE(out.preflight.notes.at(0).find("as large and as fast as without them"), std::string::npos);
}

TEST_F(PruneRun, SparseFoldersHoldTheValuesOfDenseOnes) {
  for (const char* format : {"", "int8_row_sym", "int4_g128_sym"}) {
    Recipe r = recipe("magnitude", {"pattern=2:4"});
    if (*format) r.format = &format_or_throw(format);
    const Outcome dense = prune(r, Container::pith, "dense", again());
    for (const auto layout : {SparseLayout::bitmask, SparseLayout::two_of_four}) {
      r.store = layout;
      const Outcome sparse = prune(r, Container::pith, "sparse", again());
      EXPECT_LT(sparse.output_bytes, dense.output_bytes) << format;
      expect_same_values(root_ / "dense", root_ / "sparse");
    }
  }
}

TEST_F(PruneRun, SparseFoldersBecomeDenseOnesAgain) {
  Recipe r = recipe("magnitude");
  prune(r, Container::hf, "dense");
  r.store = SparseLayout::bitmask;
  prune(r, Container::pith, "sparse");
  Recipe plain;
  compress(Model::open(root_ / "sparse"), plain, Container::hf, root_ / "again", {});
  expect_same_values(root_ / "dense", root_ / "again");
  plain.store = SparseLayout::bitmask;  // of a file that was pruned before, its zeros counted
  compress(Model::open(root_ / "dense"), plain, Container::pith, root_ / "packed", {});
  expect_same_values(root_ / "dense", root_ / "packed");
  EXPECT_EQ(fs::file_size(root_ / "packed" / "model.safetensors"),
            fs::file_size(root_ / "sparse" / "model.safetensors"));
}

TEST_F(PruneRun, SameBytesForAnyNumberOfThreads) {
  Recipe r = recipe("sparsegpt", {"sparsity=60"});
  r.format = &format_or_throw("int8_row_sym");
  r.store = SparseLayout::bitmask;
  const int before = num_threads();
  set_num_threads(1);
  const std::string one = prune(r, Container::pith, "one").output_hash;
  set_num_threads(3);
  EXPECT_EQ(prune(r, Container::pith, "three").output_hash, one);
  set_num_threads(before);
}

TEST_F(PruneRun, SaysWhatCannotBe) {
  Recipe r = recipe("magnitude");
  r.store = SparseLayout::bitmask;
  const auto told = [&](Container c) { return error_of([&] { prune(r, c, "x"); }); };
  EXPECT_NE(told(Container::hf).find("--store dense"), std::string::npos) << told(Container::hf);
  EXPECT_NE(told(Container::gguf).find("--store dense"), std::string::npos);
  r.format = &format_or_throw("int4_g128");
  EXPECT_NE(told(Container::pith).find("symmetric grid"), std::string::npos) << told(Container::pith);
  r.format = nullptr;
  r.store = SparseLayout::two_of_four;  // but pruned anywhere
  EXPECT_NE(told(Container::pith).find("at most 2 of 4"), std::string::npos) << told(Container::pith);
  Recipe finished = recipe("wanda+autoround");
  EXPECT_NE(error_of([&] { prune(finished, Container::gguf, "x"); }), "");
  EXPECT_FALSE(fs::exists(root_ / "x"));
}

// Of a damaged file: more bits than values, places out of order.
TEST_F(PruneRun, DamagedPositionsAreRefused) {
  Recipe r = recipe("magnitude", {"pattern=2:4"});
  for (const auto layout : {SparseLayout::bitmask, SparseLayout::two_of_four}) {
    r.store = layout;
    prune(r, Container::pith, "x", again());
    const Model model = Model::open(root_ / "x");
    const ModelTensor* q = model.find(Role::attn_q, 0);
    const std::string bytes(reinterpret_cast<const char*>(q->sparse->positions), 64);
    std::ifstream in(root_ / "x" / "model.safetensors", std::ios::binary);
    std::string all(std::istreambuf_iterator<char>(in), {});
    const std::size_t at = all.find(bytes);
    ASSERT_NE(at, std::string::npos);
    all[at] = char(0xff);
    std::ofstream(root_ / "x" / "model.safetensors", std::ios::binary) << all;
    const std::string told = error_of([&] { (void)Model::open(root_ / "x"); });
    EXPECT_NE(told.find("q_proj"), std::string::npos) << told;
  }
}

}  // namespace pith::test
