#include "io/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/io/allocation_meter.h"
#include "tests/io/bytes.h"

namespace pith {
namespace {

using namespace test;

TEST(Json, SameAsTheLibrary) {
  for (const char* text : {"null", "true", "-7", "18446744073709551615", "1.5e3", "\"a\\u00e9\\n\"", "[]", "{}",
                           "[[],{},[1,[2,{\"a\":[]}]]]", "{\"a\":{\"b\":[1,2,{\"c\":null}],\"d\":false},\"e\":\"f\"}",
                           " { \"x\" : [ 1 , 2 ] } \n"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(parse_json(text, "t"), nlohmann::json::parse(text));
  }
}

TEST(Json, RefusesWhatIsHostile) {
  const struct {
    const char* what;
    std::string text;
    const char* expected;
  } cases[] = {
      {"empty", "", "expected JSON"},
      {"a word", "hello", "expected JSON"},
      {"cut off", "{\"a\":[1,2", "expected JSON"},
      {"something behind", "{} x", "expected JSON"},
      {"a comment", "{} // x", "expected JSON"},
      {"NaN", "{\"a\":NaN}", "expected JSON"},
      {"a number out of range", "1e999", "expected JSON"},
      {"a NUL behind", std::string("{}\0x", 4), "expected JSON, got a NUL"},
      {"broken UTF-8", "\"\xc3\"", "expected JSON"},
      {"a control character", "\"\x01\"", "expected JSON"},
      {"a key twice", "{\"a\":1,\"b\":{\"a\":2},\"a\":3}", "'a' is repeated"},
      {"65 arrays", std::string(65, '[') + std::string(65, ']'), "at most 64 nested levels"},
      {"a million arrays", std::string(1'000'000, '['), "at most 64 nested levels"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const AllocationMeter meter;
    const std::string message = message_of([&] { parse_json(c.text, "config.json"); });
    EXPECT_NE(message.find(c.expected), std::string::npos) << message;
    EXPECT_EQ(message.find("[config.json] "), 0u) << message;
    EXPECT_LT(meter.peak_bytes(), 1 << 20);
  }
  std::string deep;
  for (int i = 0; i < 65; ++i) deep += "{\"a\":";
  EXPECT_NE(message_of([&] { parse_json(deep, "t"); }).find("at most 64"), std::string::npos);
}

TEST(Json, LimitsCanBeSet) {
  EXPECT_NO_THROW(parse_json(std::string(64, '[') + std::string(64, ']'), "t"));
  JsonLimits limits;
  limits.max_depth = 2;
  EXPECT_NO_THROW(parse_json("[[1],{}]", "t", limits));
  message_of([&] { parse_json("[[[]]]", "t", limits); });
  limits.unique_keys = false;
  EXPECT_EQ(parse_json("{\"a\":1,\"a\":[2]}", "t", limits)["a"][0], 2);
  limits.max_bytes = 3;
  EXPECT_NE(message_of([&] { parse_json("1234", "t", limits); }).find("at most 3 bytes"), std::string::npos);
}

}  // namespace
}  // namespace pith
