#include <gtest/gtest.h>

#include <fstream>

#include "io/safetensors.h"
#include "tests/io/allocation_meter.h"
#include "tests/io/safetensors_bytes.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using namespace test;

std::string file(std::string_view json, std::size_t data_bytes = 8) {
  return safetensors_file(json, zeros(data_bytes));
}
std::string entry(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return fmt::format(R"({{"dtype":"{}","shape":{},"data_offsets":{}}})", dtype, shape, offsets);
}
// A file of the tensor "w".
std::string tensor(std::string_view dtype, std::string_view shape, std::string_view offsets, std::size_t data = 8) {
  return file(fmt::format(R"({{"w":{}}})", entry(dtype, shape, offsets)), data);
}
// A file of the U8 tensors a and b.
std::string two(std::string_view a, std::string_view a_at, std::string_view b, std::string_view b_at,
                std::size_t data = 8) {
  return file(fmt::format(R"({{"a":{},"b":{}}})", entry("U8", a, a_at), entry("U8", b, b_at)), data);
}
std::string nested(std::size_t depth) { return R"({"w":)" + std::string(depth, '[') + std::string(depth, ']') + "}"; }

std::vector<Malformed> header_cases() {
  return {
      {"an empty file", "", "truncated"},
      {"seven bytes", zeros(7), "truncated"},
      {"a header of 0 bytes", file("", 0), "JSON"},
      {"a header longer than the file", u64(100) + "{}", "truncated: expected 100 x 1 bytes of the header"},
      {"a header of 100,000,001 bytes", u64(100'000'001) + "{}", "at most 100000000 bytes"},
      {"a header of 2^64-1 bytes", u64(~std::uint64_t(0)) + "{}", "at most 100000000 bytes"},
      {"a header of 2^63 bytes", u64(std::uint64_t(1) << 63) + "{}", "at most 100000000 bytes"},
      {"not JSON", file("hello"), "breaks near byte 1"},
      {"an array", file("[]"), "expected a JSON object, got an array"},
      {"a number", file("1"), "expected a JSON object, got the number 1"},
      {"null", file("null"), "expected a JSON object, got null"},
      {"a string", file(R"("x")"), "expected a JSON object, got the string 'x'"},
      {"an object cut off", file(R"({"w":)"), "JSON"},
      {"two objects", file("{} {}"), "JSON"},
      {"a NUL behind", file(std::string_view("{}\0", 3), 0), "JSON"},
      {"broken UTF-8", file("{\"\xff\":{}}"), "JSON"},
      {"a lone surrogate", file(R"({"\ud800":{}})"), "JSON"},
      {"a million levels", file(nested(1'000'000), 0), "expected an object that describes a tensor, got an array"},
      {"a trailing comma", file(R"({"w":1,})"), "expected an object that describes a tensor, got the number 1"},
      {"metadata of a number", file(R"({"__metadata__":{"a":1}})"), "expected strings as metadata, got the number 1"},
      {"metadata of null", file(R"({"__metadata__":{"a":null}})"), "expected strings as metadata, got null"},
      {"metadata in metadata", file(R"({"__metadata__":{"a":{}}})"), "expected strings as metadata"},
      {"metadata as a string", file(R"({"__metadata__":"pt"})"), "expected an object"},
      {"metadata twice", file(R"({"__metadata__":{},"__metadata__":{}})", 0), "'__metadata__' is repeated"},
      {"a metadata key twice", file(R"({"__metadata__":{"a":"b","a":"c"}})", 0), "'a' is repeated"},
      {"data without tensors", file("{}", 1), "1 trailing bytes"},
  };
}

std::vector<Malformed> tensor_cases() {
  const std::string w = entry("U8", "[8]", "[0,8]");
  return {
      {"a tensor twice", file("{\"w\":" + w + ",\"w\":" + w + "}"), "'w' is repeated"},
      {"no dtype", file(R"({"w":{"shape":[8],"data_offsets":[0,8]}})"), "tensor 'w': expected dtype"},
      {"no shape", file(R"({"w":{"dtype":"U8","data_offsets":[0,8]}})"), "tensor 'w': expected shape"},
      {"no offsets", file(R"({"w":{"dtype":"U8","shape":[8]}})"), "tensor 'w': expected data_offsets"},
      {"nothing", file(R"({"w":{}})"), "expected dtype, it is missing"},
      {"a field twice", file(R"({"w":{"dtype":"U8","dtype":"U8","shape":[8],"data_offsets":[0,8]}})"),
       "'dtype' is repeated"},
      {"another field", file(R"({"w":{"dtype":"U8","shape":[8],"data_offsets":[0,8],"x":1}})"), "got 'x'"},
      {"dtype as a number", file(R"({"w":{"dtype":1,"shape":[8],"data_offsets":[0,8]}})"), "dtype as a string"},
      {"shape as a string", file(R"({"w":{"dtype":"U8","shape":"8","data_offsets":[0,8]}})"), "got the string '8'"},
      {"dtype as an array", file(R"({"w":{"dtype":["U8"],"shape":[8],"data_offsets":[0,8]}})"), "got an array"},
      {"an array in the shape", tensor("U8", "[[8]]", "[0,8]"), "got an array"},
      {"an object in the shape", tensor("U8", "[{}]", "[0,8]"), "got an object"},
      {"a string in the shape", tensor("U8", R"(["8"])", "[0,8]"), "got the string '8'"},
      {"null in the shape", tensor("U8", "[null]", "[0,8]"), "got null"},
      {"a fraction in the shape", tensor("U8", "[8.0]", "[0,8]"), "got the number 8.0"},
      {"a negative dimension", tensor("U8", "[-8]", "[0,8]"), "got the number -8"},
      {"two negative dimensions", tensor("U8", "[-2,-4]", "[0,8]"), "got the number -2"},
      {"a dimension of 2^63", tensor("U8", "[9223372036854775808]", "[0,8]"), "below 2^63"},
      {"a dimension of 2^64", tensor("U8", "[18446744073709551616]", "[0,8]"), "got the number"},
      {"the shape overflows", tensor("U8", "[4294967296,4294967296]", "[0,8]"), "overflows"},
      {"the shape overflows to 8", tensor("U8", "[2305843009213693953,8]", "[0,8]"), "overflows"},
      {"the bits overflow", tensor("F32", "[1152921504606846976]", "[0,8]"), "overflows"},
      {"one offset", tensor("U8", "[8]", "[0]"), "two data_offsets, got 1"},
      {"no offset", tensor("U8", "[8]", "[]"), "two data_offsets, got 0"},
      {"three offsets", tensor("U8", "[8]", "[0,8,8]"), "two data_offsets, got more"},
      {"a negative offset", tensor("U8", "[8]", "[-8,0]"), "got the number -8"},
      {"offsets reversed", tensor("U8", "[8]", "[8,0]"), "rising order, got [8, 0]"},
      {"a fraction as offset", tensor("U8", "[8]", "[0,8.5]"), "got the number 8.5"},
      {"an offset of 2^64-1", tensor("U8", "[8]", "[0,18446744073709551615]"), "below 2^63"},
      {"an unknown dtype", tensor("F33", "[2]", "[0,8]"), "tensor 'w': unknown dtype 'F33'"},
      {"dtype in lower case", tensor("f32", "[2]", "[0,8]"), "unknown dtype 'f32'"},
      {"too few bytes", tensor("F32", "[2]", "[0,4]", 4),
       "expected 8 bytes for its shape and dtype, data_offsets give 4"},
      {"too many bytes", tensor("F16", "[2]", "[0,8]"), "expected 4 bytes"},
      {"zero size with bytes", tensor("F16", "[0,7]", "[0,8]"), "expected 0 bytes"},
      {"a scalar of two", tensor("F32", "[]", "[0,8]"), "expected 4 bytes"},
      {"half a byte", tensor("F4", "[3]", "[0,1]", 1), "expected whole bytes, its shape gives 12 bits"},
      {"six bits", tensor("F6_E2M3", "[1]", "[0,1]", 1), "whole bytes"},
      {"past the end", tensor("U8", "[9]", "[0,9]"), "tensor 'w': truncated"},
      {"far past the end", tensor("U8", "[9000000000000000]", "[0,9000000000000000]"), "overflows|truncated"},
      {"a hole at the start", tensor("U8", "[4]", "[4,8]"), "hole in the data: expected it to start at 0, got 4"},
      {"a hole between", two("[2]", "[0,2]", "[4]", "[4,8]"), "'b': hole in the data"},
      {"an overlap", two("[4]", "[0,4]", "[6]", "[2,8]"), "'b': overlap in the data"},
      {"the same bytes", two("[8]", "[0,8]", "[8]", "[0,8]"), "overlap in the data"},
      {"one inside the other", two("[8]", "[0,8]", "[2]", "[2,4]"), "overlap in the data"},
      {"trailing bytes", tensor("U8", "[8]", "[0,8]", 9), "expected 8 bytes of data, 1 trailing bytes"},
      {"a name that drives the terminal", file("{\"\\u001b[2J\":[]}"), "'\\x1b[2J'"},
  };
}

void expect_refused(const std::vector<Malformed>& cases) {
  for (const Malformed& c : cases) {
    SCOPED_TRACE(c.what);
    const AllocationMeter meter;
    const std::string message = message_of([&] { SafetensorsSet::parse(in_memory(c.bytes), "w.safetensors"); });
    const std::string_view expected = c.expected;
    const std::size_t bar = expected.find('|');  // one of two
    EXPECT_TRUE(message.find(expected.substr(0, bar)) != message.npos ||
                (bar != expected.npos && message.find(expected.substr(bar + 1)) != message.npos))
        << message;
    EXPECT_NE(message.find("[w.safetensors]"), std::string::npos) << message;
    EXPECT_EQ(message.find('\x1b'), std::string::npos);
    EXPECT_LT(meter.peak_bytes(), 8 << 20);
  }
}

TEST(SafetensorsMalformed, Headers) { expect_refused(header_cases()); }
TEST(SafetensorsMalformed, Tensors) { expect_refused(tensor_cases()); }
TEST(SafetensorsMalformed, ThereAreEnoughCases) { EXPECT_GE(header_cases().size() + tensor_cases().size(), 40u); }

TEST(SafetensorsMalformed, CutAnywhere) {
  const std::string whole = safetensors_sample();
  ASSERT_EQ(whole.size(), 72u);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    SCOPED_TRACE(n);
    message_of([&] { SafetensorsSet::parse(in_memory(whole.substr(0, n)), "cut"); });
  }
}

// A 6 MB header of what is no header does not become a tree of a multiple of that.
TEST(SafetensorsMalformed, LargeHeadersStaySmallInMemory) {
  std::string many = R"({"w":{"dtype":"U8","shape":[)";
  for (int i = 0; i < 3'000'000; ++i) many += "0,";
  const std::string bytes = file(many, 0);
  const AllocationMeter meter;
  message_of([&] { SafetensorsSet::parse(in_memory(bytes), "large"); });
  EXPECT_LT(meter.peak_bytes(), 100'000'000);  // an 8-byte dimension for each "0,", in a vector that doubles
}

TEST(SafetensorsMalformed, MissingFilesAndFolders) {
  const TempFolder folder;
  message_of([&] { SafetensorsSet::open(folder.path / "none"); }, Blame::environment);
  EXPECT_NE(message_of([&] { SafetensorsSet::open(folder.path); }).find("model.safetensors"), std::string::npos);
}

// A folder of two shards that fits together; the cases then break one thing.
struct Shards {
  std::map<std::string, std::string> files = {
      {"model-00001-of-00002.safetensors",
       safetensors_file(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "aaaa")},
      {"model-00002-of-00002.safetensors",
       safetensors_file(R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "bb")},
      {"model.safetensors.index.json",
       R"({"metadata":{"total_size":6},"weight_map":{"a":"model-00001-of-00002.safetensors",)"
       R"("b":"model-00002-of-00002.safetensors"}})"}};
  std::string& index() { return files["model.safetensors.index.json"]; }
  void replace_in_index(const std::string& from, const std::string& to) {
    const std::size_t at = index().find(from);
    ASSERT_NE(at, std::string::npos);
    index().replace(at, from.size(), to);
  }
  void write(const std::filesystem::path& folder) const {
    for (const auto& [name, bytes] : files) std::ofstream(folder / name, std::ios::binary) << bytes;
  }
};

TEST(SafetensorsShards, FitTogether) {
  const TempFolder folder;
  Shards{}.write(folder.path);
  const SafetensorsSet set = SafetensorsSet::open(folder.path);
  ASSERT_EQ(set.tensors().size(), 2u);
  EXPECT_EQ(set.files().size(), 2u);
  ASSERT_NE(set.find("b"), nullptr);
  EXPECT_EQ(char(*set.data(*set.find("a"))), 'a');
  EXPECT_EQ(char(*set.data(*set.find("b"))), 'b');
}

TEST(SafetensorsShards, InconsistentOnesAreRefused) {
  const std::string one = "model-00001-of-00002.safetensors", two_ = "model-00002-of-00002.safetensors";
  const struct {
    const char* what;
    std::function<void(Shards&)> damage;
    const char* expected;
  } cases[] = {
      {"a shard is missing", [&](Shards& s) { s.files.erase(two_); }, "expected shard 'model-00002-of-00002"},
      {"swapped shards", [&](Shards& s) { std::swap(s.files[one], s.files[two_]); }, "wrong shard"},
      {"a shard is cut", [&](Shards& s) { s.files[one].pop_back(); }, "truncated"},
      {"a shard is empty", [&](Shards& s) { s.files[one].clear(); }, "truncated"},
      {"a tensor twice",
       [&](Shards& s) {
         s.files[two_] = safetensors_file(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "bb");
       },
       "'a' is repeated"},
      {"a tensor that is not listed",
       [&](Shards& s) {
         s.replace_in_index(R"("a":"model-00001-of-00002.safetensors",)", "");
         s.replace_in_index("\"b\"", "\"c\":\"model-00001-of-00002.safetensors\",\"b\"");
       },
       "'a' of model-00001-of-00002.safetensors is not listed"},
      {"a listed tensor that is not there",
       [&](Shards& s) { s.replace_in_index("\"b\"", "\"c\":\"model-00001-of-00002.safetensors\",\"b\""); },
       "tensor 'c': expected it in"},
      {"another total", [&](Shards& s) { s.replace_in_index("6", "7"); },
       "expected total_size 7, the shards hold 6 bytes"},
      {"a negative total", [&](Shards& s) { s.replace_in_index("6", "-6"); }, "total_size as a number"},
      {"a total in words", [&](Shards& s) { s.replace_in_index("6", "\"6\""); }, "total_size as a number"},
      {"a path upwards", [&](Shards& s) { s.replace_in_index("model-00001", "../model-00001"); }, "plain file name"},
      {"a path from the root",
       [&](Shards& s) { s.replace_in_index("model-00001-of-00002.safetensors", "/etc/passwd"); }, "plain file name"},
      {"a path into a folder", [&](Shards& s) { s.replace_in_index("model-00001", "x/model-00001"); },
       "plain file name"},
      {"a NUL in a name", [&](Shards& s) { s.replace_in_index("model-00001", "m\\u0000"); }, "plain file name"},
      {"the folder itself", [&](Shards& s) { s.replace_in_index("model-00001-of-00002.safetensors", "."); },
       "plain file name"},
      {"the folder above", [&](Shards& s) { s.replace_in_index("model-00001-of-00002.safetensors", ".."); },
       "plain file name"},
      {"no file name", [&](Shards& s) { s.replace_in_index("model-00001-of-00002.safetensors", ""); },
       "plain file name"},
      {"a number as file", [&](Shards& s) { s.replace_in_index("\"model-00001-of-00002.safetensors\"", "1"); },
       "tensor 'a': expected a file name"},
      {"a name twice", [&](Shards& s) { s.replace_in_index("\"b\"", "\"a\""); }, "'a' is repeated"},
      {"no weight_map", [&](Shards& s) { s.index() = "{}"; }, "weight_map"},
      {"an empty weight_map", [&](Shards& s) { s.index() = R"({"weight_map":{}})"; }, "it is empty"},
      {"weight_map as an array", [&](Shards& s) { s.index() = R"({"weight_map":[]})"; }, "weight_map as an object"},
      {"an array", [&](Shards& s) { s.index() = "[]"; }, "expected a JSON object"},
      {"deep nesting", [&](Shards& s) { s.index() = std::string(1'000'000, '['); }, "at most 64 nested levels"},
      {"not JSON", [&](Shards& s) { s.index() = "{"; }, "expected JSON"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const TempFolder folder;
    Shards shards;
    c.damage(shards);
    shards.write(folder.path);
    const std::string message = message_of([&] { SafetensorsSet::open(folder.path); });
    EXPECT_NE(message.find(c.expected), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace pith
