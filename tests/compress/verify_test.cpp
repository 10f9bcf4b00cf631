// Damage between writing and the last step must be seen, and must leave nothing under the final name.
#include "tests/compress/pipeline_support.h"

namespace pith::test {

namespace {

// Spoils the staged file when the check is about to begin.
class Spoiler final : public Progress {
 public:
  Spoiler(std::filesystem::path file, std::size_t offset, std::string bytes)
      : file_(std::move(file)), offset_(offset), bytes_(std::move(bytes)) {}
  void begin(std::string_view stage, dim) override {
    if (stage != "verify") return;
    std::fstream out(file_, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(std::streamoff(offset_));
    out << bytes_;
    spoiled = bool(out.flush());
  }
  void advance(dim, std::string_view) override {}
  void end() override {}
  bool spoiled = false;

 private:
  std::filesystem::path file_;
  std::size_t offset_;
  std::string bytes_;
};

std::string error_after(std::size_t offset_from, const std::string& bytes, bool from_end) {
  const TempFolder temp;
  const auto source = write_model(temp.path / "in", {});
  run(source, recipe_for("q8_0"), temp.path / "good.gguf");
  const std::size_t size = std::filesystem::file_size(temp.path / "good.gguf");
  Spoiler spoiler(temp.path / ".out.gguf.pith-partial" / "out.gguf", from_end ? size - offset_from : offset_from,
                  bytes);
  const std::string error = error_of([&] { run(source, recipe_for("q8_0"), temp.path / "out.gguf", {}, spoiler); });
  EXPECT_TRUE(spoiler.spoiled);
  EXPECT_FALSE(std::filesystem::exists(temp.path / "out.gguf"));
  return error;
}

}  // namespace

TEST(Verify, SeesValuesThatAreNotFinite) {
  const std::string error = error_after(1024, std::string(1024, '\xff'), true);  // output_norm: 256 values of f32
  EXPECT_NE(error.find("output_norm.weight"), error.npos) << error;
}

TEST(Verify, SeesADamagedHead) {
  EXPECT_FALSE(error_after(0, "XXXX", false).empty());
  EXPECT_FALSE(error_after(8, std::string(8, '\x01'), false).empty());  // the number of tensors
}

}  // namespace pith::test
