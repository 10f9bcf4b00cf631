#include "io/imatrix.h"

#include <gtest/gtest.h>

#include <limits>

#include "io/gguf.h"
#include "tests/io/allocation_meter.h"
#include "tests/io/gguf_bytes.h"

namespace pith {
namespace {

using namespace test;

std::string entry(std::string_view name, std::int32_t calls, const std::vector<float>& values) {
  std::string s = i32(std::int32_t(name.size())) + std::string(name) + i32(calls) + i32(std::int32_t(values.size()));
  for (const float v : values) s += f32(v);
  return s;
}

TEST(Imatrix, ReadsTheOlderForm) {
  const std::string entries = i32(2) + entry("blk.0.attn_q.weight", 4, {2, 0, 8}) + entry("output.weight", 0, {3});
  for (const std::string& tail : {std::string(), i32(10) + i32(0), i32(10) + i32(8) + "wiki.raw"}) {
    const Imatrix m = parse_imatrix(in_memory(entries + tail), "imatrix.dat");
    ASSERT_EQ(m.mean_squares.size(), 2u);
    EXPECT_EQ(m.mean_squares.at("blk.0.attn_q.weight"), (std::vector<float>{0.5f, 0, 2}));
    EXPECT_EQ(m.mean_squares.at("output.weight"), std::vector<float>{3});
    EXPECT_EQ(m.datasets.size(), tail.size() > 8 ? 1u : 0u);
  }
}

// Sums and counts of a tensor of 4 columns, then data in file order: counts padded to 32 bytes, then sums.
std::string gguf_imatrix(std::uint64_t matrices, const std::vector<float>& counts, const std::vector<float>& sums) {
  GgufParts parts;
  parts.pairs = {gguf_pair("general.type", 8, gguf_string("imatrix")),
                 gguf_pair("imatrix.datasets", 9, u32(8) + u64(1) + gguf_string("wiki.raw")),
                 gguf_pair("imatrix.chunk_count", 4, u32(3)), gguf_pair("imatrix.chunk_size", 4, u32(512))};
  parts.infos = {gguf_info("w.weight.counts", {1, matrices}, 0, 0),
                 gguf_info("w.weight.in_sum2", {4, matrices}, 0, 32)};
  std::string data;
  for (const float v : counts) data += f32(v);
  data.resize(32);
  for (const float v : sums) data += f32(v);
  data.resize(32 + (sums.size() * 4 + 31) / 32 * 32);
  return parts.file() + data;
}

TEST(Imatrix, ReadsTheGgufForm) {
  const Imatrix one = parse_imatrix(in_memory(gguf_imatrix(1, {8}, {8, 4, 0, 24})), "imatrix.gguf");
  EXPECT_EQ(one.mean_squares.at("w.weight"), (std::vector<float>{1, 0.5f, 0, 3}));
  EXPECT_EQ(one.datasets, std::vector<std::string>{"wiki.raw"});
  // The second expert saw nothing.
  const auto bytes = gguf_imatrix(3, {2, 0, 4}, {2, 4, 6, 8, 0, 0, 0, 0, 4, 8, 12, 16});
  const Imatrix experts = parse_imatrix(in_memory(bytes), "imatrix.gguf");
  EXPECT_EQ(experts.mean_squares.at("w.weight"), (std::vector<float>{1, 2, 3, 4, 1, 1, 1, 1, 1, 2, 3, 4}));
}

TEST(Imatrix, WhatIsWrittenIsReadBack) {
  const ImatrixContents contents{
      .entries = {{"a.weight", 3, {8, 4, 0}, {8}}, {"b.weight", 2, {2, 4, 0, 0, 9, 3}, {2, 0, 3}}},
      .datasets = {"wiki.txt", "code.txt"},
      .chunks = 2,
      .chunk_tokens = 4};
  const std::string bytes = imatrix_gguf(contents);
  const Imatrix read = parse_imatrix(in_memory(bytes), "imatrix.gguf");
  EXPECT_EQ(read.datasets, (std::vector<std::string>{"wiki.txt", "code.txt"}));
  ASSERT_EQ(read.mean_squares.size(), 2u);
  EXPECT_EQ(read.mean_squares.at("a.weight"), (std::vector<float>{1, 0.5f, 0}));
  EXPECT_EQ(read.mean_squares.at("b.weight"), (std::vector<float>{1, 2, 1, 1, 3, 1}));
  const GgufFile file = GgufFile::parse(in_memory(bytes), "imatrix.gguf");  // what llama.cpp asks for
  EXPECT_EQ(file.meta().get_string("general.type"), "imatrix");
  EXPECT_EQ(file.meta().get_int("imatrix.chunk_count"), 2);
  EXPECT_EQ(file.meta().get_int("imatrix.chunk_size"), 4);
  EXPECT_EQ(file.find("b.weight.in_sum2")->shape, (std::vector<dim>{2, 3}));
  EXPECT_EQ(file.find("b.weight.counts")->shape, (std::vector<dim>{1, 3}));
}

TEST(Imatrix, RefusesWhatIsMalformed) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  GgufParts lone;
  lone.infos = {gguf_info("w.in_sum2", {4}, 0, 0)};
  lone.data_bytes = 32;
  GgufParts counts_only;
  counts_only.infos = {gguf_info("w.counts", {1}, 0, 0)};
  counts_only.data_bytes = 32;
  GgufParts other;
  other.infos = {gguf_info("token_embd.weight", {4}, 0, 0)};
  other.data_bytes = 32;
  GgufParts halves;
  halves.infos = {gguf_info("w.counts", {1}, 0, 0), gguf_info("w.in_sum2", {4}, 1, 32)};
  halves.data_bytes = 64;
  GgufParts many;
  many.infos = {gguf_info("w.counts", {2}, 0, 0), gguf_info("w.in_sum2", {4}, 0, 32)};
  many.data_bytes = 64;
  const std::vector<Malformed> cases = {
      {"an empty file", "", "truncated"},
      {"no entries", i32(0), "positive number of entries, got 0"},
      {"a negative count", i32(-1), "positive number of entries, got -1"},
      {"2^31-1 entries", i32(0x7fffffff) + zeros(64), "truncated"},
      {"no name", i32(1) + i32(0) + zeros(64), "length of a name, got 0"},
      {"a negative name", i32(1) + i32(-5) + zeros(64), "length of a name, got -5"},
      {"a name past the end", i32(1) + i32(1000) + zeros(64), "truncated"},
      {"negative calls", i32(1) + entry("w", -1, {1}), "expected 0 calls or more"},
      {"no values", i32(1) + entry("w", 1, {}) + zeros(8), "positive number of values, got 0"},
      {"2^31-1 values", i32(1) + i32(1) + "w" + i32(1) + i32(0x7fffffff) + zeros(64), "truncated"},
      {"values cut off", i32(1) + i32(1) + "w" + i32(1) + i32(3) + zeros(8), "truncated"},
      {"NaN", i32(1) + entry("w", 1, {kNan}), "tensor 'w': expected finite values"},
      {"infinity", i32(1) + entry("w", 1, {1, kInf}), "expected finite values"},
      {"a negative value", i32(1) + entry("w", 1, {-1}), "zero or more, got -1"},
      {"a tensor twice", i32(2) + entry("w", 1, {1}) + entry("w", 1, {1}), "'w' is repeated"},
      {"half a tail", i32(1) + entry("w", 1, {1}) + zeros(2), "truncated"},
      {"a tail past the end", i32(1) + entry("w", 1, {1}) + i32(1) + i32(100), "truncated"},
      {"a negative tail", i32(1) + entry("w", 1, {1}) + i32(1) + i32(-1), "data set's name, got -1"},
      {"sums without counts", lone.file(), "expected 'w.counts' beside it"},
      {"counts without sums", counts_only.file(), "expected 'w.in_sum2' beside it"},
      {"a model", other.file(), "expected an importance matrix"},
      {"sums of F16", halves.file(), "values of F32"},
      {"more counts than matrices", many.file(), "expected 1 values of F32"},
      {"NaN sums", gguf_imatrix(1, {1}, {1, kNan, 1, 1}), "'w.weight.in_sum2': expected finite"},
      {"negative counts", gguf_imatrix(1, {-1}, {1, 1, 1, 1}), "'w.weight.counts'"},
      {"means that overflow", gguf_imatrix(1, {1e-30f}, {1e30f, 1, 1, 1}), "got inf"},
      {"datasets of numbers",
       [] {
         GgufParts p;
         p.pairs = {gguf_pair("imatrix.datasets", 4, u32(1))};
         return p.file();
       }(),
       "array of strings"},
  };
  for (const Malformed& c : cases) {
    SCOPED_TRACE(c.what);
    const AllocationMeter meter;
    const std::string message = message_of([&] { parse_imatrix(in_memory(c.bytes), "m"); });
    EXPECT_NE(message.find(c.expected), std::string::npos) << message;
    EXPECT_LT(meter.peak_bytes(), 1 << 20);
  }
}

TEST(Imatrix, CutAnywhere) {
  const std::string legacy = i32(2) + entry("blk.0.attn_q.weight", 4, {2, 0, 8}) + entry("output.weight", 1, {3});
  for (std::size_t n = 0; n < legacy.size(); ++n)
    message_of([&] { parse_imatrix(in_memory(legacy.substr(0, n)), "cut"); });
}

}  // namespace
}  // namespace pith
