#include "serve/generate.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "serve/text_stream.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

std::vector<std::string> pushed(TextStream& stream, const std::vector<std::string>& pieces) {
  std::vector<std::string> out;
  for (const std::string& p : pieces) out.push_back(stream.push(p));
  out.push_back(stream.finish());
  return out;
}
using Texts = std::vector<std::string>;

TEST(TextStream, WaitsForWholeCharacters) {
  TextStream stream({});
  EXPECT_EQ(pushed(stream, {"a\xe2", "\x82",
                            "\xac"
                            "b",
                            "\xf0\x9f", "\x98\x80"}),
            (Texts{"a", "",
                   "\u20ac"
                   "b",
                   "", "\U0001F600", ""}));
}

TEST(TextStream, ReplacesBytesThatAreNoCharacter) {
  TextStream stream({});
  EXPECT_EQ(pushed(stream, {"a\xff"
                            "b",
                            "\xe2", "c", "\x80", "\xf0\x9f"}),
            (Texts{"a\uFFFDb", "", "\uFFFDc", "\uFFFD", "", "\uFFFD\uFFFD"}));
}

TEST(TextStream, HoldsBackPossibleStops) {
  TextStream stream({"END", "\n\n"});
  EXPECT_EQ(pushed(stream, {"one E", "Nx", "\n", "two E", "N", "D three"}),
            (Texts{"one ", "ENx", "", "\ntwo ", "", "", ""}));
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.push("more"), "");
}

TEST(TextStream, TheEarliestStopCounts) {
  TextStream stream({"cd", "b"});
  EXPECT_EQ(stream.push("abcd"), "a");
  EXPECT_TRUE(stream.stopped());
}

class Stories : public testing::Test {
 protected:
  static GenerateResult run(const Model& model, const std::string& prompt, const GenerateOptions& options,
                            std::string* streamed = nullptr, dim context = 0) {
    return generate(model, model.tokenizer().encode(prompt), options,
                    [&](std::string_view piece) {
                      if (streamed) streamed->append(piece);
                      return true;
                    },
                    {.context = context});
  }
};

TEST_F(Stories, GreedyTextIsKnown) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  std::string streamed;
  const GenerateResult result = run(model, "Once upon a time", {.max_tokens = 60}, &streamed);
  const std::string expected =
      ", there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball.";
  EXPECT_EQ(result.text.substr(0, expected.size()), expected);
  EXPECT_EQ(streamed, result.text);
  EXPECT_EQ(result.tokens.size(), 60u);
  EXPECT_EQ(result.reason, StopReason::max_tokens);
}

TEST_F(Stories, StopsWhereAsked) {
  PITH_NEED_DATA(path, "models/stories260K/stories260K-f32.gguf");
  const Model model = Model::open(path);
  const GenerateResult at_string = run(model, "Once upon a time", {.max_tokens = 60, .stop_strings = {"loved to"}});
  EXPECT_EQ(at_string.text, ", there was a little girl named Lily. She ");
  EXPECT_EQ(at_string.reason, StopReason::stop_string);
  const GenerateResult full = run(model, "Once upon a time", {.max_tokens = 60}, nullptr, 16);
  EXPECT_EQ(full.reason, StopReason::context_full);
  EXPECT_EQ(dim(full.tokens.size()) + full.prompt_tokens, 16);
  EXPECT_THROW(run(model, "Once upon a time", {}, nullptr, 2), Error);
  int pieces = 0;
  const GenerateResult refused =
      generate(model, model.tokenizer().encode("Once"), {}, [&](std::string_view) { return ++pieces < 3; });
  EXPECT_EQ(refused.reason, StopReason::interrupted);
  EXPECT_EQ(pieces, 3);
}

}  // namespace
}  // namespace pith
