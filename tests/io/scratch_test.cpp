#include "io/scratch.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/shared_data.h"

namespace pith {
namespace {

Buffer filled(dim size_bytes, int value) {
  Buffer bytes(size_bytes);
  std::memset(bytes.data(), value, std::size_t(size_bytes));
  bytes.data()[size_bytes - 1] = std::byte(value + 1);
  return bytes;
}

void expect_filled(const std::byte* at, dim size_bytes, int value) {
  EXPECT_EQ(at[0], std::byte(value));
  EXPECT_EQ(at[size_bytes / 2], std::byte(value));
  EXPECT_EQ(at[size_bytes - 1], std::byte(value + 1));
}

// While TMPDIR is another folder.
class Temporary {
 public:
  explicit Temporary(const std::filesystem::path& folder)
      : before_(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "") {
    setenv("TMPDIR", folder.c_str(), 1);
  }
  ~Temporary() {
    if (before_.empty())
      unsetenv("TMPDIR");
    else
      setenv("TMPDIR", before_.c_str(), 1);
  }

 private:
  std::string before_;
};

constexpr dim kLarge = 3 << 20, kFew = 100;

TEST(Scratch, KeepsBytesAndNoNamedFile) {
  const test::TempFolder folder;
  const Temporary temporary(folder.path);
  Scratch scratch;
  const std::byte* large = scratch.keep(filled(kLarge, 7));
  const std::byte* few = scratch.keep(filled(kFew, 9));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path));
  scratch.release(large, kLarge);
  scratch.release(few, kFew);
  const Scratch moved = std::move(scratch);
  expect_filled(large, kLarge, 7);
  expect_filled(few, kFew, 9);
}

TEST(Scratch, WithoutAFolderItUsesMemory) {
  const Temporary temporary("/no/such/folder");
  Scratch scratch;
  const std::byte* large = scratch.keep(filled(kLarge, 7));
  scratch.release(large, kLarge);
  expect_filled(large, kLarge, 7);
}

}  // namespace
}  // namespace pith
