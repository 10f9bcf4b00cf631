#include "io/files.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <fstream>

#include "io/mapped_file.h"
#include "io/printable.h"
#include "io/sha256.h"
#include "tests/io/bytes.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using namespace test;

TEST(Files, ReadsAsItIs) {
  const TempFolder folder;
  const std::string bytes(
      "\xef\xbb\xbf"
      "a\r\n\0\xff",
      8);
  std::ofstream(folder.path / "f", std::ios::binary) << bytes;
  std::ofstream(folder.path / "empty");
  EXPECT_EQ(read_text_file(folder.path / "f"), bytes);
  EXPECT_EQ(read_text_file(folder.path / "f", 8), bytes);
  EXPECT_EQ(read_text_file(folder.path / "empty"), "");
  EXPECT_NE(message_of([&] { read_text_file(folder.path / "f", 7); }).find("at most 7 bytes, got 8"),
            std::string::npos);
  message_of([&] { read_text_file(folder.path / "none"); }, Blame::environment);
  EXPECT_NE(message_of([&] { read_text_file(folder.path); }, Blame::environment).find("folder"), std::string::npos);
  message_of([&] { read_text_file("/dev/zero"); }, Blame::environment);
}

TEST(MappedFile, MovesAndReleases) {
  const TempFolder folder;
  std::string bytes(1 << 20, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = char(i * 31 / 7);
  std::ofstream(folder.path / "f", std::ios::binary) << bytes;
  MappedFile file(folder.path / "f");
  ASSERT_EQ(file.size_bytes(), 1 << 20);
  const std::byte* begin = file.data();
  MappedFile moved = std::move(file);
  EXPECT_EQ(moved.data(), begin);
  const auto resident = [&] {
    std::vector<unsigned char> pages(256);
    EXPECT_EQ(mincore(const_cast<std::byte*>(moved.data()), 1 << 20, pages.data()), 0);
    return pages.size();
  };
  EXPECT_EQ(resident(), 256u);
  EXPECT_EQ(std::memcmp(moved.data(), bytes.data(), bytes.size()), 0);
  for (const auto& [from, size] :
       {std::pair<dim, dim>{0, 1 << 20}, {1, 5000}, {4095, 2}, {100, 0}, {(1 << 20) - 1, 1}}) {
    moved.release(moved.data() + from, size);
    EXPECT_EQ(std::memcmp(moved.data(), bytes.data(), bytes.size()), 0) << from;
  }
  EXPECT_THROW(moved.release(moved.data() + 1, 1 << 20), InternalError);
  MappedFile held = in_memory("abc");
  held.release(held.data(), 3);
  EXPECT_EQ(char(held.data()[2]), 'c');
}

// Pages that were released count no more as this process's own.
TEST(MappedFile, ReleaseShrinksTheResidentSet) {
  const TempFolder folder;
  std::ofstream(folder.path / "f", std::ios::binary) << std::string(64 << 20, 'x');
  const MappedFile file(folder.path / "f");
  const auto resident_pages = [] {
    std::ifstream in("/proc/self/statm");
    dim total = 0, resident = 0;
    in >> total >> resident;
    return resident;
  };
  dim sum = 0;
  const dim before = resident_pages();
  for (dim i = 0; i < file.size_bytes(); i += 4096) sum += dim(file.data()[i]);
  const dim touched = resident_pages();
  file.release(file.data(), file.size_bytes());
  const dim after = resident_pages();
  EXPECT_EQ(sum, dim('x') * (64 << 20) / 4096);
  EXPECT_GT(touched - before, 12000);
  EXPECT_LT(after - before, 2000);
}

TEST(Sha256, KnownDigests) {  // FIPS 180-2, appendix B
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 hash;
  for (int i = 0; i < 1000; ++i) hash.update(std::string(1000, 'a'));
  EXPECT_EQ(hash.hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Printable, ShowsWhatIsSafe) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "''"},
      {"blk.0.attn_q", "'blk.0.attn_q'"},
      {"h\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80", "'h\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80'"},
      {std::string("a\0b\n\x1b\x7f", 6), "'a\\x00b\\x0a\\x1b\\x7f'"},
      {"\xc2\x9b", "'\\xc2\\x9b'"},                    // C1 control
      {"\xff\xc3", "'\\xff\\xc3'"},                    // not UTF-8
      {"\xc0\x80", "'\\xc0\\x80'"},                    // overlong
      {"\xe0\x80\x80", "'\\xe0\\x80\\x80'"},           // overlong
      {"\xed\xa0\x80", "'\\xed\\xa0\\x80'"},           // surrogate
      {"\xf4\x90\x80\x80", "'\\xf4\\x90\\x80\\x80'"},  // past U+10FFFF
      {std::string(81, 'a'), "'" + std::string(80, 'a') + "...'"},
  };
  for (const auto& [name, shown] : cases) EXPECT_EQ(printable(name), shown);
}

}  // namespace
}  // namespace pith
