#include "compress/output_hash.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "core/error.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

// Two files of a fixed size whose bytes come piece by piece, as a stage writes them.
TEST(OutputHash, FollowsWhatIsWrittenAndReadsNothingThatIsNot) {
  const test::TempFolder out;
  const auto a = out.path / "a", b = out.path / "b";
  std::ofstream(a) << "xxxxxx";
  std::ofstream(b) << "yyy";
  OutputHash hash({a, b});
  const auto write = [](const std::filesystem::path& path, dim at, std::string_view text) {
    std::fstream(path, std::ios::in | std::ios::out).seekp(at) << text;
  };
  using std::chrono::milliseconds;
  write(a, 0, "ab");
  hash.settle(0, 2);
  std::this_thread::sleep_for(milliseconds(20));  // for it to read ahead, if it did
  write(a, 2, "cdef");
  hash.settle(1, 0);
  std::this_thread::sleep_for(milliseconds(20));
  write(b, 0, "ghi");
  // printf abcdefghi | sha256sum
  EXPECT_EQ(hash.get(), "19cc02f26df43cc571bc9ed7b0c4d29224a3ec229529221725ef76d021c8326f");
}

TEST(OutputHash, CanBeGivenUpAndNamesAFileThatIsGone) {
  const test::TempFolder out;
  { const OutputHash left({out.path / "none"}); }
  OutputHash hash({out.path / "none"});
  EXPECT_THROW(hash.get(), Error);
}

}  // namespace
}  // namespace pith
