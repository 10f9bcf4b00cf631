#include "io/safetensors.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/io/safetensors_bytes.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using namespace test;

TEST(Safetensors, ReadsTheSample) {
  const SafetensorsSet set = SafetensorsSet::parse(in_memory(safetensors_sample()), "sample");
  ASSERT_EQ(set.tensors().size(), 1u);
  const SafeTensor& w = set.tensors()[0];
  EXPECT_EQ(w.name, "w");
  EXPECT_EQ(w.dtype, "F16");
  EXPECT_EQ(w.shape, (std::vector<dim>{2, 2}));
  EXPECT_EQ(w.offset_bytes, 64);
  EXPECT_EQ(w.size_bytes, 8);
  EXPECT_EQ(set.find("w"), &w);
  EXPECT_EQ(set.find("v"), nullptr);
  const auto* halves = reinterpret_cast<const std::uint16_t*>(set.data(w));
  EXPECT_EQ(halves[0], 0x3c00);
  EXPECT_EQ(halves[3], 0xb800);
}

TEST(Safetensors, ReadsWhatIsUnusualButLegal) {
  const struct {
    const char* what;
    std::string bytes;
    std::size_t tensors;
  } cases[] = {
      {"no tensors", safetensors_file("{}", ""), 0},
      {"whitespace around",
       safetensors_file(" \n\t {\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}  \n", "x"), 1},
      {"a scalar", safetensors_file(R"({"w":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", "0000"), 1},
      {"nothing in it", safetensors_file(R"({"w":{"dtype":"F32","shape":[0,9],"data_offsets":[0,0]}})", ""), 1},
      {"two in 12 bits", safetensors_file(R"({"w":{"dtype":"F6_E3M2","shape":[4],"data_offsets":[0,3]}})", "000"), 1},
      {"two in a byte", safetensors_file(R"({"w":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", "0"), 1},
      {"fields in another order", safetensors_file(R"({"w":{"data_offsets":[0,1],"shape":[1],"dtype":"I8"}})", "0"), 1},
      {"names in another order",
       safetensors_file(
           R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},)"
           R"("z":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
           "bba"),
       3},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    EXPECT_EQ(SafetensorsSet::parse(in_memory(c.bytes), "legal").tensors().size(), c.tensors);
  }
}

TEST(Safetensors, KeepsMetadata) {
  const auto bytes = safetensors_file(R"({"__metadata__":{"format":"pt","x":"\u00e9"}})", "");
  const SafetensorsSet set = SafetensorsSet::parse(in_memory(bytes), "meta");
  EXPECT_EQ(set.metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"x", "\xc3\xa9"}}));
}

TEST(Safetensors, BitsOfDtypes) {
  const std::pair<const char*, dim> expected[] = {
      {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
      {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
      {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},        {"F128", 0},        {"", 0}};
  for (const auto& [name, bits] : expected) EXPECT_EQ(dtype_bits(name), bits) << name;
}

SafeTensor planned(std::string name, std::string dtype, std::vector<dim> shape, dim size_bytes) {
  return {std::move(name), std::move(dtype), std::move(shape), 0, size_bytes, 0};
}

TEST(SafetensorsLayout, OneFile) {
  const std::vector<SafeTensor> tensors = {planned("w", "F16", {2, 2}, 8)};
  const SafetensorsLayout layout = safetensors_layout(tensors, 1 << 30);
  ASSERT_EQ(layout.shards.size(), 1u);
  EXPECT_TRUE(layout.index_json.empty());
  const ShardLayout& shard = layout.shards[0];
  EXPECT_EQ(shard.file_name, "model.safetensors");
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}})";
  EXPECT_EQ(shard.layout.head, u64(88) + header + std::string(88 - header.size(), ' '));
  EXPECT_EQ(shard.layout.offsets_bytes, std::vector<dim>{96});
  EXPECT_EQ(shard.layout.total_bytes, 104);
}

// Wider dtypes first, so that each is aligned without padding.
TEST(SafetensorsLayout, TensorsAreAligned) {
  const std::vector<SafeTensor> tensors = {planned("bytes", "U8", {3}, 3), planned("half", "F16", {1}, 2),
                                           planned("long", "I64", {1}, 8), planned("half2", "BF16", {1}, 2),
                                           planned("float", "F32", {}, 4)};
  const SafetensorsLayout layout = safetensors_layout(tensors, 1 << 30);
  const ShardLayout& shard = layout.shards.at(0);
  EXPECT_EQ(shard.tensors, (std::vector<std::size_t>{2, 4, 1, 3, 0}));
  const dim start = dim(shard.layout.head.size());
  EXPECT_EQ(start % 8, 0);
  EXPECT_EQ(shard.layout.offsets_bytes, (std::vector<dim>{start, start + 8, start + 12, start + 14, start + 16}));
}

TEST(SafetensorsLayout, ShardsComeBackAsTheyWere) {
  const std::vector<SafeTensor> tensors = {
      planned("a", "U8", {60}, 60), planned("b \"quoted\" \xc3\xa9", "F32", {2, 5}, 40), planned("c", "I32", {30}, 120),
      planned("none", "F16", {0, 4}, 0), planned("d", "BF16", {1, 1}, 2)};
  const SafetensorsLayout layout = safetensors_layout(tensors, 100);
  ASSERT_EQ(layout.shards.size(), 3u);  // a + b fill the first, c alone is larger than one
  EXPECT_EQ(layout.shards[0].file_name, "model-00001-of-00003.safetensors");
  EXPECT_EQ(layout.shards[2].file_name, "model-00003-of-00003.safetensors");
  EXPECT_EQ(layout.shards[1].tensors, std::vector<std::size_t>{2});

  const TempFolder folder;
  std::ofstream(folder.path / "model.safetensors.index.json") << layout.index_json;
  for (const ShardLayout& shard : layout.shards) {
    std::string bytes = shard.layout.head;
    bytes.resize(std::size_t(shard.layout.total_bytes), '\0');
    for (std::size_t i = 0; i < shard.tensors.size(); ++i)
      if (tensors[shard.tensors[i]].size_bytes)
        bytes[std::size_t(shard.layout.offsets_bytes[i])] = char('A' + shard.tensors[i]);
    std::ofstream(folder.path / shard.file_name, std::ios::binary) << bytes;
  }
  const SafetensorsSet set = SafetensorsSet::open(folder.path);
  ASSERT_EQ(set.tensors().size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const SafeTensor* t = set.find(tensors[i].name);
    ASSERT_NE(t, nullptr) << tensors[i].name;
    EXPECT_EQ(t->dtype, tensors[i].dtype);
    EXPECT_EQ(t->shape, tensors[i].shape);
    if (t->size_bytes) {
      EXPECT_EQ(char(*set.data(*t)), char('A' + i));
    }
  }
  EXPECT_EQ(set.metadata().at("format"), "pt");
}

TEST(SafetensorsLayout, IndexTellsTheTotal) {
  const std::vector<SafeTensor> tensors = {planned("a", "U8", {3}, 3), planned("b", "U8", {4}, 4)};
  EXPECT_EQ(safetensors_layout(tensors, 4).index_json, R"({
  "metadata": {
    "total_size": 7
  },
  "weight_map": {
    "a": "model-00001-of-00002.safetensors",
    "b": "model-00002-of-00002.safetensors"
  }
}
)");
}

TEST(SafetensorsLayout, Refuses) {
  const auto refused = [](const std::vector<SafeTensor>& tensors) {
    return message_of([&] { safetensors_layout(tensors, 100); });
  };
  EXPECT_NE(refused({planned("a", "U8", {1}, 1), planned("a", "U8", {1}, 1)}).find("'a'"), std::string::npos);
  EXPECT_NE(refused({planned("__metadata__", "U8", {1}, 1)}).find("__metadata__"), std::string::npos);
  EXPECT_NE(refused({planned("\xff", "U8", {1}, 1)}).find("UTF-8"), std::string::npos);
  const std::vector<SafeTensor> wrong = {planned("a", "U8", {2}, 1)};
  EXPECT_THROW(safetensors_layout(wrong, 100), InternalError);
}

TEST(Safetensors, ReadsATrainedModel) {
  PITH_NEED_DATA(folder, "models/stories260K/hf");
  const SafetensorsSet set = SafetensorsSet::open(folder);
  const SafeTensor* embed = set.find("model.embed_tokens.weight");
  ASSERT_NE(embed, nullptr);
  EXPECT_EQ(embed->shape, (std::vector<dim>{512, 64}));
  dim total = 0;
  for (const SafeTensor& t : set.tensors()) total += t.size_bytes;
  EXPECT_EQ(total % 4, 0);
  EXPECT_GT(total, 1'000'000);
  EXPECT_EQ(SafetensorsSet::open(folder / "model.safetensors").tensors().size(), set.tensors().size());
}

}  // namespace
}  // namespace pith
