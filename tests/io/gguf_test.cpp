#include "io/gguf.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/io/gguf_bytes.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using namespace test;

TEST(Gguf, ReadsTheSample) {
  const GgufFile file = GgufFile::parse(in_memory(gguf_sample()), "sample");
  EXPECT_EQ(file.version(), 3);
  EXPECT_EQ(file.meta().get_string("general.architecture"), "llama");
  ASSERT_EQ(file.tensors().size(), 1u);
  const GgufTensor& t = file.tensors()[0];
  EXPECT_EQ(t.name, "a");
  EXPECT_EQ(t.shape, (std::vector<dim>{3, 2}));
  EXPECT_EQ(t.type, 0);
  EXPECT_EQ(t.offset_bytes, 128);
  EXPECT_EQ(t.size_bytes, 24);
  EXPECT_EQ(file.find("a"), &t);
  EXPECT_EQ(file.find("b"), nullptr);
  const auto* values = reinterpret_cast<const float*>(file.data(t));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(values[i], float(i));
}

TEST(Gguf, WritesTheSample) {
  GgufMeta meta;
  meta.set("general.architecture", std::string("llama"));
  const GgufTensor a{"a", {3, 2}, 0, 0, 24};
  const FileLayout layout = gguf_layout(meta, std::span(&a, 1));
  EXPECT_EQ(layout.head, gguf_sample().substr(0, 128));
  EXPECT_EQ(layout.offsets_bytes, std::vector<dim>{128});
  EXPECT_EQ(layout.total_bytes, 160);
}

TEST(Gguf, ReadsVersion2AndFilesWithoutTensors) {
  GgufParts parts;
  parts.version = 2;
  parts.pairs = {gguf_pair("k", 4, u32(7))};
  const std::string unpadded = parts.header(0, 1);
  const GgufFile file = GgufFile::parse(in_memory(unpadded), "v2");
  EXPECT_EQ(file.version(), 2);
  EXPECT_EQ(file.meta().get_int("k"), 7);
  EXPECT_TRUE(file.tensors().empty());
}

// Every type of value, with its bytes spelled out.
GgufMeta all_types() {
  GgufMeta meta;
  meta.set("u8", std::uint8_t(200));
  meta.set("i8", std::int8_t(-100));
  meta.set("u16", std::uint16_t(60000));
  meta.set("i16", std::int16_t(-30000));
  meta.set("u32", std::uint32_t(4000000000u));
  meta.set("i32", std::int32_t(-2000000000));
  meta.set("f32", 1.5f);
  meta.set("bool", true);
  meta.set("string", std::string("h\xc3\xa9\0llo", 7));
  meta.set("u64", std::uint64_t(1) << 63);
  meta.set("i64", std::int64_t(-1) << 62);
  meta.set("f64", 0.1);
  meta.set("bools", GgufArray{std::vector<bool>{true, false, true}});
  meta.set("strings", GgufArray{std::vector<std::string>{"", "a", "bc"}});
  meta.set("ints", GgufArray{std::vector<std::int32_t>{-1, 0, 7}});
  meta.set("bytes", GgufArray{std::vector<std::uint8_t>{255}});
  meta.set("floats", GgufArray{std::vector<float>{0.5f, -2.0f}});
  meta.set("doubles", GgufArray{std::vector<double>{0.25}});
  meta.set("longs", GgufArray{std::vector<std::uint64_t>{5, 6}});
  meta.set("none", GgufArray{std::vector<std::int16_t>{}});
  return meta;
}

TEST(Gguf, EveryTypeOfValueFromItsBytes) {
  GgufParts parts;
  parts.pairs = {gguf_pair("u8", 0, u8(200)),
                 gguf_pair("i8", 1, u8(156)),
                 gguf_pair("u16", 2, u16(60000)),
                 gguf_pair("i16", 3, u16(35536)),
                 gguf_pair("u32", 4, u32(4000000000u)),
                 gguf_pair("i32", 5, u32(2294967296u)),
                 gguf_pair("f32", 6, u32(0x3fc00000)),
                 gguf_pair("bool", 7, u8(1)),
                 gguf_pair("string", 8, gguf_string({"h\xc3\xa9\0llo", 7})),
                 gguf_pair("u64", 10, u64(0x8000000000000000u)),
                 gguf_pair("i64", 11, u64(0xc000000000000000u)),
                 gguf_pair("f64", 12, u64(0x3fb999999999999au)),
                 gguf_pair("bools", 9, u32(7) + u64(3) + u8(1) + u8(0) + u8(1)),
                 gguf_pair("strings", 9, u32(8) + u64(3) + gguf_string("") + gguf_string("a") + gguf_string("bc")),
                 gguf_pair("ints", 9, u32(5) + u64(3) + u32(0xffffffff) + u32(0) + u32(7)),
                 gguf_pair("bytes", 9, u32(0) + u64(1) + u8(255)),
                 gguf_pair("floats", 9, u32(6) + u64(2) + u32(0x3f000000) + u32(0xc0000000)),
                 gguf_pair("doubles", 9, u32(12) + u64(1) + u64(0x3fd0000000000000u)),
                 gguf_pair("longs", 9, u32(10) + u64(2) + u64(5) + u64(6)),
                 gguf_pair("none", 9, u32(3) + u64(0))};
  const GgufFile file = GgufFile::parse(in_memory(parts.file()), "types");
  EXPECT_EQ(file.meta().entries(), all_types().entries());
  EXPECT_EQ(gguf_layout(all_types(), {}).head, parts.file());
}

TEST(GgufMeta, GettersConvertAndRefuse) {
  const GgufMeta meta = all_types();
  EXPECT_EQ(meta.get_int("u8"), 200);
  EXPECT_EQ(meta.get_int("i8"), -100);
  EXPECT_EQ(meta.get_int("u32"), 4000000000);
  EXPECT_EQ(meta.get_int("i64"), -(std::int64_t(1) << 62));
  EXPECT_EQ(meta.find_int("absent", -7), -7);
  EXPECT_EQ(meta.get_float("f32"), 1.5);
  EXPECT_EQ(meta.get_float("f64"), 0.1);
  EXPECT_EQ(meta.get_float("u16"), 60000.0);
  EXPECT_EQ(meta.find_float("absent", 2.5), 2.5);
  EXPECT_TRUE(meta.find_bool("bool", false));
  EXPECT_TRUE(meta.find_bool("absent", true));
  EXPECT_EQ(meta.find_string("absent", "other"), "other");
  EXPECT_EQ(meta.get_strings("strings"), (std::vector<std::string>{"", "a", "bc"}));
  EXPECT_EQ(meta.find_ints("ints"), (std::vector<std::int64_t>{-1, 0, 7}));
  EXPECT_EQ(meta.find_ints("bytes"), std::vector<std::int64_t>{255});
  EXPECT_EQ(meta.find_ints("longs"), (std::vector<std::int64_t>{5, 6}));
  EXPECT_EQ(meta.find_ints("bools"), (std::vector<std::int64_t>{1, 0, 1}));
  EXPECT_EQ(meta.find_ints("u16"), std::vector<std::int64_t>{60000});
  EXPECT_TRUE(meta.find_ints("absent").empty());
  EXPECT_EQ(meta.find_floats("floats"), (std::vector<float>{0.5f, -2.0f}));
  EXPECT_EQ(meta.find_floats("doubles"), std::vector<float>{0.25f});
  EXPECT_TRUE(meta.find_floats("absent").empty());

  const struct {
    std::function<void()> call;
    const char* expected;
  } faults[] = {
      {[&] { meta.get_int("absent"); }, "expected key 'absent', it is missing"},
      {[&] { meta.get_int("string"); }, "key 'string': expected an integer, got string"},
      {[&] { meta.get_int("bool"); }, "expected an integer, got bool"},
      {[&] { meta.get_int("f32"); }, "expected an integer, got f32"},
      {[&] { meta.get_int("u64"); }, "at most 2^63 - 1, got 9223372036854775808"},
      {[&] { meta.get_float("strings"); }, "expected a number, got an array of string"},
      {[&] { meta.find_bool("u8", false); }, "expected a bool, got u8"},
      {[&] { meta.get_string("u8"); }, "expected a string, got u8"},
      {[&] { meta.get_strings("ints"); }, "expected an array of strings, got an array of i32"},
      {[&] { meta.find_ints("floats"); }, "expected an array of integers, got an array of f32"},
      {[&] { meta.find_ints("strings"); }, "expected an array of integers"},
      {[&] { meta.find_floats("ints"); }, "expected an array of floats, got an array of i32"},
      {[&] { meta.find_floats("f32"); }, "expected an array of floats, got f32"},
  };
  for (const auto& fault : faults) {
    const std::string message = message_of(fault.call);
    EXPECT_NE(message.find(fault.expected), std::string::npos) << message;
  }
}

TEST(GgufMeta, SetReplacesAndEraseKeepsTheOthers) {
  GgufMeta meta;
  meta.set("a", std::uint32_t(1));
  meta.set("b", std::uint32_t(2));
  meta.set("c", std::uint32_t(3));
  meta.set("a", std::string("x"));
  meta.erase("b");
  meta.erase("absent");
  ASSERT_EQ(meta.entries().size(), 2u);
  EXPECT_EQ(meta.entries()[0].first, "a");
  EXPECT_EQ(meta.get_string("a"), "x");
  EXPECT_EQ(meta.get_int("c"), 3);
  EXPECT_FALSE(meta.has("b"));
  meta.set("b", std::uint32_t(4));
  EXPECT_EQ(meta.entries()[2].first, "b");
}

// A layout with data put where it says, parsed again.
TEST(Gguf, LayoutsComeBackAsTheyWere) {
  for (const std::uint32_t alignment : {8u, 32u, 64u, 4096u}) {
    GgufMeta meta = all_types();
    meta.set("general.alignment", alignment);
    const std::vector<GgufTensor> tensors = {
        {"x", {5}, 0, 0, 20},    {"q4_0", {64, 3}, 2, 0, 108},         {"q6_k", {512, 2}, 14, 0, 840},
        {"scalar", {}, 0, 0, 4}, {"nvfp4", {64, 2, 3, 4}, 40, 0, 864}, {"tail", {1}, 24, 0, 1}};
    const FileLayout layout = gguf_layout(meta, tensors);
    EXPECT_EQ(dim(layout.head.size()) % alignment, 0);
    EXPECT_EQ(layout.total_bytes % alignment, 0);
    std::string bytes = layout.head;
    bytes.resize(std::size_t(layout.total_bytes), '\0');
    for (std::size_t i = 0; i < tensors.size(); ++i) bytes[std::size_t(layout.offsets_bytes[i])] = char('A' + i);
    const GgufFile file = GgufFile::parse(in_memory(bytes), "again");
    EXPECT_EQ(file.meta().entries(), meta.entries());
    ASSERT_EQ(file.tensors().size(), tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const GgufTensor& t = file.tensors()[i];
      EXPECT_EQ(t.name, tensors[i].name);
      EXPECT_EQ(t.shape, tensors[i].shape);
      EXPECT_EQ(t.type, tensors[i].type);
      EXPECT_EQ(t.size_bytes, tensors[i].size_bytes);
      EXPECT_EQ(t.offset_bytes, layout.offsets_bytes[i]);
      EXPECT_EQ(char(*file.data(t)), char('A' + i));
    }
  }
}

TEST(Gguf, LayoutRefusesWhatLoadersRefuse) {
  const auto refused = [](const GgufMeta& meta, const std::vector<GgufTensor>& tensors) {
    return message_of([&] { gguf_layout(meta, tensors); });
  };
  GgufMeta odd;
  odd.set("general.alignment", std::uint32_t(24));
  EXPECT_NE(refused(odd, {}).find("power of two"), std::string::npos);
  EXPECT_NE(refused({}, {{std::string(64, 'n'), {1}, 0, 0, 4}}).find("63 bytes"), std::string::npos);
  EXPECT_NE(refused({}, {{"a", {1}, 0, 0, 4}, {"a", {1}, 0, 0, 4}}).find("'a' is repeated"), std::string::npos);
  EXPECT_NE(refused({}, {{"a", {1, 1, 1, 1, 1}, 0, 0, 4}}).find("at most 4 dimensions"), std::string::npos);
  const std::vector<GgufTensor> wrong_size = {{"a", {3}, 0, 0, 13}};
  EXPECT_THROW(gguf_layout({}, wrong_size), InternalError);
}

TEST(Gguf, BitsPerWeightOfTheTypes) {  // ggml's own figures
  const std::pair<int, double> expected[] = {
      {0, 32},      {1, 16},      {2, 4.5},     {3, 5},       {6, 5.5},     {7, 6},       {8, 8.5},     {10, 2.625},
      {11, 3.4375}, {12, 4.5},    {13, 5.5},    {14, 6.5625}, {16, 2.0625}, {17, 2.3125}, {18, 3.0625}, {19, 1.5625},
      {20, 4.5},    {21, 3.4375}, {22, 2.5625}, {23, 4.25},   {24, 8},      {27, 64},     {28, 64},     {29, 1.75},
      {30, 16},     {34, 1.6875}, {35, 2.0625}, {39, 4.25},   {40, 4.5},    {41, 1.125},  {42, 2.25}};
  for (const auto& [id, bits] : expected) {
    const GgufType* type = gguf_type(id);
    ASSERT_NE(type, nullptr) << id;
    EXPECT_EQ(double(type->block_bytes) * 8 / double(type->block), bits) << type->name;
  }
  for (const int id : {-1, 4, 5, 31, 32, 33, 36, 37, 38, 43}) EXPECT_EQ(gguf_type(id), nullptr) << id;
}

TEST(Gguf, OpensEveryFileOfTheTestData) {
  PITH_NEED_DATA(data, "models");
  int opened = 0;
  for (const char* folder : {"models", "gguf_vocab"}) {
    const auto root = data_folder() / folder;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      if (entry.path().extension() != ".gguf") continue;
      const GgufFile file(entry.path());
      EXPECT_FALSE(file.meta().get_string("general.architecture").empty()) << entry.path();
      ++opened;
    }
  }
  EXPECT_GE(opened, 15);
}

TEST(Gguf, ReadsATrainedModel) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const GgufFile file(path);
  EXPECT_EQ(file.meta().get_int("llama.embedding_length"), 64);
  EXPECT_EQ(file.meta().get_int("llama.block_count"), 5);
  EXPECT_EQ(file.meta().get_strings("tokenizer.ggml.tokens").size(), 512u);
  const GgufTensor* embed = file.find("token_embd.weight");
  ASSERT_NE(embed, nullptr);
  EXPECT_EQ(embed->shape, (std::vector<dim>{64, 512}));
  EXPECT_EQ(embed->size_bytes, 131072);
}

// Writing a real file's own metadata and tensors again gives its header again, byte for byte.
TEST(Gguf, RealHeadersAreReproduced) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f16.gguf");
  const GgufFile file(path);
  if (file.version() != 3) GTEST_SKIP() << "a file of version " << file.version();
  const FileLayout layout = gguf_layout(file.meta(), file.tensors());
  const std::string_view original(reinterpret_cast<const char*>(file.file().data()), layout.head.size());
  EXPECT_EQ(layout.head, original);
  for (std::size_t i = 0; i < file.tensors().size(); ++i)
    EXPECT_EQ(layout.offsets_bytes[i], file.tensors()[i].offset_bytes);
}

}  // namespace
}  // namespace pith
