#include <gtest/gtest.h>

#include "io/gguf.h"
#include "tests/io/allocation_meter.h"
#include "tests/io/gguf_bytes.h"

namespace pith {
namespace {

using namespace test;

constexpr std::uint64_t kHuge = std::uint64_t(1) << 60;
constexpr std::uint64_t kAll = ~std::uint64_t(0);

std::string version(std::uint32_t v) {
  GgufParts parts;
  parts.version = v;
  return parts.file();
}
// A file of this one pair, with room behind it.
std::string with_pair(const std::string& pair) {
  GgufParts parts;
  parts.pairs = {pair};
  return parts.file() + zeros(64);
}
std::string with_pairs(std::vector<std::string> pairs) {
  GgufParts parts;
  parts.pairs = std::move(pairs);
  return parts.file() + zeros(64);
}
std::string with_tensors(std::vector<std::string> infos, std::size_t data_bytes = 4096) {
  GgufParts parts;
  parts.infos = std::move(infos);
  parts.data_bytes = data_bytes;
  return parts.file();
}
std::string with_alignment(std::uint32_t type, const std::string& value) {
  return with_pair(gguf_pair("general.alignment", type, value));
}
std::string counts(std::uint64_t tensors, std::uint64_t pairs) {
  return GgufParts{}.header(tensors, pairs) + zeros(512);
}
// An array's type and count, then some bytes.
std::string with_array(std::uint32_t type, std::uint64_t count, const std::string& values) {
  return with_pair(gguf_pair("k", 9, u32(type) + u64(count) + values));
}
std::string one_pair_of_two() {
  GgufParts parts;
  parts.pairs = {gguf_pair("k", 4, u32(1))};
  return parts.header(0, 2) + zeros(8);
}
std::string big_alignment_data() {
  GgufParts parts;
  parts.pairs = {gguf_pair("general.alignment", 4, u32(64))};
  parts.infos = {gguf_info("a", {1}, 0, 0), gguf_info("b", {1}, 0, 32)};
  parts.alignment = 64;
  parts.data_bytes = 128;
  return parts.file();
}
std::string far_alignment() {  // padding that leads far behind the end
  GgufParts parts;
  parts.pairs = {gguf_pair("general.alignment", 4, u32(1u << 31))};
  parts.infos = {gguf_info("a", {1}, 0, 0)};
  parts.data_bytes = 128;
  return parts.file();
}

std::vector<Malformed> header_cases() {
  return {
      {"an empty file", "", "truncated"},
      {"three bytes", "GGU", "truncated"},
      {"another format", "PK\x03\x04" + zeros(64), "expected a GGUF file"},
      {"old magic", "ggml" + zeros(64), "expected a GGUF file"},
      {"magic reversed", "FUGG" + zeros(64), "expected a GGUF file"},
      {"a terminal escape as magic", "\x1b[2J" + zeros(64), "'\\x1b[2J'"},
      {"version 0", version(0), "expected version 2 or 3, got 0"},
      {"version 1", version(1), "expected version 2 or 3, got 1"},
      {"version 4", version(4), "expected version 2 or 3, got 4"},
      {"version 255", version(255), "expected version 2 or 3, got 255"},
      {"version 2^32-1", version(0xffffffff), "expected version 2 or 3"},
      {"big-endian 3", version(0x03000000), "big-endian"},
      {"big-endian 2", version(0x02000000), "big-endian"},
      {"no counts", std::string("GGUF") + u32(3), "truncated"},
      {"2^64-1 tensors", counts(kAll, 0), "truncated: expected 18446744073709551615 x"},
      {"2^63 tensors", counts(kAll / 2 + 1, 0), "tensor descriptions"},
      {"2^60 tensors", counts(kHuge, 0), "tensor descriptions"},
      {"2^64-1 pairs", counts(0, kAll), "metadata"},
      {"2^60 pairs", counts(0, kHuge), "metadata"},
      {"more pairs than fit", counts(0, 100), "metadata"},
      {"more tensors than fit", counts(100, 0), "tensor descriptions"},
      {"a pair too many", one_pair_of_two(), "truncated"},
  };
}

std::vector<Malformed> pair_cases() {
  return {
      {"an empty key", with_pair(gguf_pair("", 4, u32(1))), "is empty"},
      {"a repeated key", with_pairs({gguf_pair("k", 4, u32(1)), gguf_pair("k", 4, u32(1))}), "'k' is repeated"},
      {"repeated, of another type", with_pairs({gguf_pair("k", 4, u32(1)), gguf_pair("k", 0, u8(1))}), "is repeated"},
      {"a key of 2^64-1 bytes", with_pair(u64(kAll) + "k" + u32(4) + u32(1)), "at most 65535 bytes"},
      {"a key of 65536 bytes", with_pair(gguf_pair(std::string(65536, 'k'), 4, u32(1))), "at most 65535 bytes"},
      {"a key past the end", with_pair(u64(5000) + "k" + u32(4) + u32(1)), "of key at byte"},
      {"type 13", with_pair(gguf_pair("k", 13, u64(0))), "key 'k': expected a value type 0 to 12, got 13"},
      {"type 2^32-1", with_pair(gguf_pair("k", 0xffffffff, u64(0))), "expected a value type"},
      {"bool 2", with_pair(gguf_pair("k", 7, u8(2))), "key 'k': expected a bool of 0 or 1, got 2"},
      {"bool 255", with_pair(gguf_pair("k", 7, u8(255))), "expected a bool"},
      {"a string past the end", with_pair(gguf_pair("k", 8, u64(1000) + "x")), "key 'k'"},
      {"a string of 2^64-1 bytes", with_pair(gguf_pair("k", 8, u64(kAll) + "x")), "key 'k'"},
      {"a string of 2^63 bytes", with_pair(gguf_pair("k", 8, u64(kAll / 2 + 1) + "x")), "key 'k'"},
      {"an array of arrays", with_array(9, 1, u32(4) + u64(1) + u32(1)), "array of arrays"},
      {"an array of type 13", with_array(13, 1, u64(0)), "expected an element type 0 to 12, got 13"},
      {"an array of type 2^31", with_array(1u << 31, 1, u64(0)), "expected an element type"},
      {"2^64-1 bytes", with_array(0, kAll, u8(1)), "truncated"},
      {"2^62 u32: the size overflows", with_array(4, kHuge * 4, u32(1)), "truncated"},
      {"2^61 f64: the size overflows", with_array(12, kHuge * 2, u64(1)), "truncated"},
      {"2^60 strings", with_array(8, kHuge, gguf_string("x")), "truncated"},
      {"2^60 bools", with_array(7, kHuge, u8(1)), "truncated"},
      {"a thousand i32", with_array(5, 1000, u32(1)), "of key 'k'"},
      {"a bad bool in an array", with_array(7, 3, u8(1) + u8(0) + u8(3)), "expected a bool of 0 or 1, got 3"},
      {"a bad string in an array", with_array(8, 2, gguf_string("x") + u64(kAll)), "truncated"},
      {"alignment 0", with_alignment(4, u32(0)), "power of two, got 0"},
      {"alignment 3", with_alignment(4, u32(3)), "power of two, got 3"},
      {"alignment 48", with_alignment(4, u32(48)), "power of two, got 48"},
      {"alignment 2^32-1", with_alignment(4, u32(0xffffffff)), "power of two"},
      {"alignment as u64", with_alignment(10, u64(32)), "general.alignment as u32"},
      {"alignment as i32", with_alignment(5, i32(32)), "general.alignment as u32"},
      {"alignment as a string", with_alignment(8, gguf_string("32")), "general.alignment as u32"},
      {"alignment as an array", with_alignment(9, u32(4) + u64(1) + u32(32)), "general.alignment as u32"},
      {"a key that drives the terminal", with_pair(gguf_pair("\x1b]0;x\x07", 99, u64(0))), "'\\x1b]0;x\\x07'"},
  };
}

std::vector<Malformed> tensor_cases() {
  const std::string name64(64, 'n');
  return {
      {"an empty name", with_tensors({gguf_info("", {1}, 0, 0)}), "is empty"},
      {"a name of 64 bytes", with_tensors({gguf_info(name64, {1}, 0, 0)}), "too long: 64 bytes"},
      {"a name of 2^64-1 bytes", with_tensors({u64(kAll) + "a"}), "too long"},
      {"a repeated name", with_tensors({gguf_info("a", {8}, 0, 0), gguf_info("a", {8}, 0, 32)}), "'a' is repeated"},
      {"5 dimensions", with_tensors({gguf_info("a", {1, 1, 1, 1, 1}, 0, 0)}), "at most 4 dimensions, got 5"},
      {"2^32-1 dimensions", with_tensors({gguf_string("a") + u32(0xffffffff) + zeros(64)}), "at most 4 dimensions"},
      {"a dimension of 0", with_tensors({gguf_info("a", {3, 0}, 0, 0)}), "positive dimensions, got 0"},
      {"a negative dimension", with_tensors({gguf_info("a", {3, kAll}, 0, 0)}), "positive dimensions, got -1"},
      {"dimensions overflow", with_tensors({gguf_info("a", {kHuge, 16}, 0, 0)}), "overflow"},
      {"four dimensions overflow", with_tensors({gguf_info("a", {1 << 16, 1 << 16, 1 << 16, 1 << 16}, 0, 0)}),
       "overflow"},
      {"bytes overflow", with_tensors({gguf_info("a", {kHuge * 4}, 0, 0)}), "size overflows"},
      {"bytes overflow to a small size", with_tensors({gguf_info("a", {kHuge * 2 + 1}, 28, 0)}), "size overflows"},
      {"Q4_0 of 33", with_tensors({gguf_info("a", {33}, 2, 0)}), "whole blocks of 32 values for Q4_0, got 33"},
      {"Q4_K of 128", with_tensors({gguf_info("a", {128, 2}, 12, 0)}), "whole blocks of 256 values for Q4_K"},
      {"Q8_0 of 16 x 2", with_tensors({gguf_info("a", {16, 2}, 8, 0)}), "whole blocks"},
      {"Q1_0 of 64", with_tensors({gguf_info("a", {64}, 41, 0)}), "whole blocks of 128"},
      {"blocks in a scalar", with_tensors({gguf_info("a", {}, 2, 0)}), "whole blocks"},
      {"removed type 4", with_tensors({gguf_info("a", {32}, 4, 0)}),
       "tensor 'a': expected a tensor type ggml has, got unknown type 4"},
      {"removed type 5", with_tensors({gguf_info("a", {32}, 5, 0)}), "unknown type 5"},
      {"removed type 31", with_tensors({gguf_info("a", {32}, 31, 0)}), "unknown type 31"},
      {"removed type 33", with_tensors({gguf_info("a", {32}, 33, 0)}), "unknown type 33"},
      {"removed type 36", with_tensors({gguf_info("a", {32}, 36, 0)}), "unknown type 36"},
      {"removed type 38", with_tensors({gguf_info("a", {32}, 38, 0)}), "unknown type 38"},
      {"type 1000", with_tensors({gguf_info("a", {32}, 1000, 0)}), "unknown type 1000"},
      {"type -1", with_tensors({gguf_info("a", {32}, 0xffffffff, 0)}), "unknown type"},
      {"the first offset is not 0", with_tensors({gguf_info("a", {8}, 0, 32)}), "tensor 'a': expected offset 0"},
      {"a gap", with_tensors({gguf_info("a", {8}, 0, 0), gguf_info("b", {8}, 0, 64)}), "'b': expected offset 32"},
      {"an overlap", with_tensors({gguf_info("a", {16}, 0, 0), gguf_info("b", {8}, 0, 32)}), "'b': expected offset 64"},
      {"the same place", with_tensors({gguf_info("a", {8}, 0, 0), gguf_info("b", {8}, 0, 0)}),
       "'b': expected offset 32"},
      {"another order", with_tensors({gguf_info("a", {8}, 0, 32), gguf_info("b", {8}, 0, 0)}),
       "'a': expected offset 0"},
      {"no padding", with_tensors({gguf_info("a", {1}, 0, 0), gguf_info("b", {1}, 0, 4)}), "'b': expected offset 32"},
      {"padding to 32, not to 64", big_alignment_data(), "'b': expected offset 64"},
      {"an offset of 2^64-32", with_tensors({gguf_info("a", {1}, 0, kAll - 31)}), "offset below 2^63"},
      {"an offset of 2^62", with_tensors({gguf_info("a", {1}, 0, kHuge * 4)}), "expected offset 0"},
      {"no data", with_tensors({gguf_info("a", {8}, 0, 0)}, 0), "truncated: expected 32 bytes of data"},
      {"data short by a byte", with_tensors({gguf_info("a", {8}, 0, 0)}, 31), "truncated"},
      {"2^58 bytes of data", with_tensors({gguf_info("a", {kHuge / 16}, 0, 0)}), "truncated"},
      {"the second is cut", with_tensors({gguf_info("a", {8}, 0, 0), gguf_info("b", {9}, 0, 32)}, 64),
       "'b': truncated"},
      {"an alignment past the end", far_alignment(), "truncated"},
      {"dimensions cut off", with_tensors({gguf_string("a") + u32(4) + u64(1)}, 0), "truncated"},
  };
}

void expect_refused(const std::vector<Malformed>& cases) {
  for (const Malformed& c : cases) {
    SCOPED_TRACE(c.what);
    const AllocationMeter meter;
    const std::string message = message_of([&] { GgufFile::parse(in_memory(c.bytes), "file.gguf"); });
    EXPECT_NE(message.find(c.expected), std::string::npos) << message;
    EXPECT_NE(message.find("[file.gguf]"), std::string::npos) << message;
    EXPECT_EQ(message.find('\x1b'), std::string::npos);
    EXPECT_LT(meter.peak_bytes(), 1 << 20);
  }
}

TEST(GgufMalformed, Headers) { expect_refused(header_cases()); }
TEST(GgufMalformed, Pairs) { expect_refused(pair_cases()); }
TEST(GgufMalformed, Tensors) { expect_refused(tensor_cases()); }
TEST(GgufMalformed, ThereAreEnoughCases) {
  EXPECT_GE(header_cases().size() + pair_cases().size() + tensor_cases().size(), 60u);
}

TEST(GgufMalformed, CutAnywhere) {
  const std::string whole = gguf_sample();
  ASSERT_EQ(whole.size(), 160u);
  for (std::size_t n = 0; n < 152; ++n) {
    SCOPED_TRACE(n);
    message_of([&] { GgufFile::parse(in_memory(whole.substr(0, n)), "cut"); });
  }
  // Only the padding after the last tensor may be missing: nothing reads it.
  for (std::size_t n = 152; n <= 160; ++n) EXPECT_NO_THROW(GgufFile::parse(in_memory(whole.substr(0, n)), "cut")) << n;
}

// Any single damaged byte either is refused or leaves a file whose tensor lies within it.
TEST(GgufMalformed, EveryByteDamaged) {
  const std::string whole = gguf_sample();
  for (std::size_t at = 0; at < 128; ++at) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::string bytes = whole;
      bytes[at] = char(value);
      try {
        const GgufFile file = GgufFile::parse(in_memory(bytes), "damaged");
        for (const GgufTensor& t : file.tensors()) {
          EXPECT_GE(t.offset_bytes, 0);
          EXPECT_LE(t.offset_bytes + t.size_bytes, 160);
        }
      } catch (const Error& e) {
        EXPECT_EQ(e.blame(), Blame::input);
      }
    }
  }
}

TEST(GgufMalformed, MissingFile) {
  const std::string message = message_of([] { GgufFile("/nowhere/at/all.gguf"); }, Blame::environment);
  EXPECT_NE(message.find("/nowhere/at/all.gguf"), std::string::npos);
}

}  // namespace
}  // namespace pith
