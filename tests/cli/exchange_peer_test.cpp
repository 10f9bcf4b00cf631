// Other readers decode the folders we write to the same weights: tests/peers/check_*.py, run by the Python that
// PITH_PEERS_PYTHON names.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

constexpr int kSkipped = 77;

std::string quoted(const std::filesystem::path& path) { return shell_quote(path.string()); }

// Quantizes, widens what was written, and lets the script compare.
void expect_peer_agrees(const std::string& layout, const std::string& format, const std::string& more = "") {
  const char* python = std::getenv("PITH_PEERS_PYTHON");
  if (!python) GTEST_SKIP() << "PITH_PEERS_PYTHON names no Python to test against";
  PITH_NEED_DATA(model, "models/stories260K/hf");
  const TempFolder folder;
  const auto packed = folder.path / "packed", dense = folder.path / "dense";
  Ran ran = run_pith("quantize " + quoted(model) + " --to " + layout + " -f " + format + " " + more + " -o " +
                     quoted(packed));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  ran = run_pith("convert " + quoted(packed) + " --to hf -f f32 -o " + quoted(dense));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  std::string script = layout;
  if (layout == "hf") script = "compressed_tensors";
  ran = run_shell(shell_quote(python) + " " +
                  shell_quote(std::string(PITH_SOURCE_DIR) + "/tests/peers/check_" + script + ".py") + " " +
                  quoted(packed) + " " + quoted(dense));
  if (ran.exit_code == kSkipped) GTEST_SKIP() << ran.out;
  EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
}

// The model's ffn has 172 columns, which no group divides, so its down projections stay dense.
const char* const kDown = "--override ffn_down=f16";
// And 172 rows fill no words of GPTQ's zero points of 4 bits in 8s, nor of AWQ's.
const char* const kFfn = "--override 'ffn_down|ffn_up|ffn_gate=f16'";

TEST(ExchangePeer, Gptq) {
  expect_peer_agrees("gptq", "int4_g32", kFfn);
  expect_peer_agrees("gptq", "int4_g64_sym", kFfn);
  expect_peer_agrees("gptq", "int3_g32", kFfn);
  expect_peer_agrees("gptq", "int8_row_sym", kDown);
  expect_peer_agrees("gptq", "int2_g32_sym", kFfn);
}
TEST(ExchangePeer, Awq) { expect_peer_agrees("awq", "int4_g32", kFfn); }
TEST(ExchangePeer, Mlx) {
  for (const char* bits : {"2", "3", "4", "5", "6", "8"})
    expect_peer_agrees("mlx", std::string("affine") + bits + "_g32", kDown);
}
TEST(ExchangePeer, CompressedTensors) {
  expect_peer_agrees("hf", "int4_g32", kDown);
  expect_peer_agrees("hf", "int8_row_sym");
}
TEST(ExchangePeer, Bitsandbytes) { expect_peer_agrees("bnb", "nf4_b64", kDown); }

}  // namespace
}  // namespace pith::test
