#include "eval/protocols.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/error.h"
#include "tests/shared_data.h"

namespace pith {
namespace {

using Tokens = std::vector<Token>;

Tokens count_up(dim n) {  // 100, 101, ...
  Tokens tokens(std::size_t(n), 0);
  std::iota(tokens.begin(), tokens.end(), 100);
  return tokens;
}

TEST(Protocols, BosOnceAtTheStartOfTheText) {
  const WindowSet set = cut_windows(protocol_or_throw("gptq-2048"), count_up(10), 1, 4, 0);
  ASSERT_EQ(set.windows.size(), 2u);
  EXPECT_EQ(set.windows[0].tokens, (Tokens{1, 100, 101, 102}));
  EXPECT_EQ(set.windows[1].tokens, (Tokens{103, 104, 105, 106}));
  EXPECT_EQ(set.windows[0].first_scored, 1);
  EXPECT_EQ(set.tokens_scored, 6);
  EXPECT_EQ(set.tokens_dropped, 3);
  EXPECT_EQ(set.conditions,
            "context 4; BOS once at the start of the text; 2 windows without overlap; every prediction counts; 6 "
            "tokens scored, 3 not run; rows joined by two newlines");
}

TEST(Protocols, BosInPlaceOfTheFirstToken) {
  // As llama-perplexity: BOS and 11 tokens make 3 windows of 4; predictions of position 3 alone count.
  const WindowSet set = cut_windows(protocol_or_throw("llamacpp-512"), count_up(11), 1, 4, 0);
  ASSERT_EQ(set.windows.size(), 3u);
  EXPECT_EQ(set.windows[0].tokens, (Tokens{1, 100, 101, 102}));
  EXPECT_EQ(set.windows[1].tokens, (Tokens{1, 104, 105, 106}));
  EXPECT_EQ(set.windows[2].tokens, (Tokens{1, 108, 109, 110}));
  EXPECT_EQ(set.windows[0].first_scored, 3);
  EXPECT_EQ(set.tokens_scored, 3);
  EXPECT_EQ(set.tokens_dropped, 0);
}

TEST(Protocols, WindowsOf512ScoreTheLast255) {
  const WindowSet set = cut_windows(protocol_or_throw("llamacpp-512"), count_up(1024), -1, 512, 0);
  ASSERT_EQ(set.windows.size(), 2u);
  EXPECT_EQ(set.windows[1].first_scored, 257);
  EXPECT_EQ(set.tokens_scored, 2 * 255);
}

TEST(Protocols, BosBeforeEachWindow) {
  const WindowSet set = cut_windows(protocol_or_throw("stories-256"), count_up(8), 1, 4, 0);
  ASSERT_EQ(set.windows.size(), 2u);
  EXPECT_EQ(set.windows[0].tokens, (Tokens{1, 100, 101, 102}));
  EXPECT_EQ(set.windows[1].tokens, (Tokens{1, 103, 104, 105}));
  EXPECT_EQ(set.tokens_scored, 6);
  EXPECT_EQ(set.tokens_dropped, 2);
}

TEST(Protocols, TheTailIsAWindowOfBitsPerByte) {
  const WindowSet with_bos = cut_windows(protocol_or_throw("bpb"), count_up(4), 1, 4, 0);
  ASSERT_EQ(with_bos.windows.size(), 2u);
  EXPECT_EQ(with_bos.windows[1].tokens, (Tokens{1, 103}));
  EXPECT_EQ(with_bos.tokens_scored, 4);
  EXPECT_EQ(with_bos.tokens_dropped, 0);
  // Without BOS a tail of one token predicts nothing.
  const WindowSet without = cut_windows(protocol_or_throw("bpb"), count_up(5), -1, 4, 0);
  ASSERT_EQ(without.windows.size(), 1u);
  EXPECT_EQ(without.windows[0].tokens, (Tokens{100, 101, 102, 103}));
  EXPECT_EQ(without.tokens_scored, 3);
  EXPECT_EQ(without.tokens_dropped, 1);
}

Protocol with_overlap(const char* name, dim overlap) {
  Protocol p = protocol_or_throw(name);
  p.overlap = overlap;
  return p;
}

TEST(Protocols, StridedWindowsScoreEachTokenOnce) {
  // As transformers' loop with max_length 4 and stride 2: (begin, end, target length) are (0, 4, 4), (2, 6, 2),
  // (4, 8, 2), (6, 9, 1).
  const WindowSet set = cut_windows(with_overlap("strided", 2), count_up(9), -1, 4, 0);
  ASSERT_EQ(set.windows.size(), 4u);
  EXPECT_EQ(set.windows[0].tokens, (Tokens{100, 101, 102, 103}));
  EXPECT_EQ(set.windows[0].first_scored, 1);
  EXPECT_EQ(set.windows[2].tokens, (Tokens{104, 105, 106, 107}));
  EXPECT_EQ(set.windows[2].first_scored, 2);
  EXPECT_EQ(set.windows[3].tokens, (Tokens{106, 107, 108}));
  EXPECT_EQ(set.windows[3].first_scored, 2);
  EXPECT_EQ(set.tokens_scored, 8);
  EXPECT_EQ(set.tokens_dropped, 0);
  EXPECT_NE(set.conditions.find("4 windows 2 further each; predictions of new tokens count"), std::string::npos);
}

TEST(Protocols, RollingWindowsAreTheHarness) {
  // get_rolling_token_windows(100 ... 109, prefix 1, max_seq_len 4, context_len 1): inputs and predictions
  // (1 100 101 102 | 100 ... 103), (103 ... 106 | 104 ... 107), (105 ... 108 | 108 109).
  const WindowSet set = cut_windows(protocol_or_throw("rolling"), count_up(10), 1, 5, 0);
  ASSERT_EQ(set.windows.size(), 3u);
  EXPECT_EQ(set.windows[0].tokens, (Tokens{1, 100, 101, 102, 103}));
  EXPECT_EQ(set.windows[0].first_scored, 1);
  EXPECT_EQ(set.windows[1].tokens, (Tokens{103, 104, 105, 106, 107}));
  EXPECT_EQ(set.windows[1].first_scored, 1);
  EXPECT_EQ(set.windows[2].tokens, (Tokens{105, 106, 107, 108, 109}));
  EXPECT_EQ(set.windows[2].first_scored, 3);
  EXPECT_EQ(set.tokens_scored, 10);
}

TEST(Protocols, OneLongWindow) {
  const Protocol& p = protocol_or_throw("long");
  const WindowSet cut = cut_windows(p, count_up(10), -1, 6, 0), whole = cut_windows(p, count_up(10), 1, 16, 0);
  ASSERT_EQ(cut.windows.size(), 1u);
  EXPECT_EQ(cut.tokens_scored, 5);
  EXPECT_EQ(cut.tokens_dropped, 4);
  ASSERT_EQ(whole.windows.size(), 1u);
  EXPECT_EQ(whole.tokens_scored, 10);
}

TEST(Protocols, TheUserMayChangeContextAndStride) {
  PITH_NEED_DATA(path, "gguf_vocab/ggml-vocab-gpt-2.gguf");
  const Tokenizer gpt2 = Tokenizer::from_gguf(GgufFile(path).meta());
  std::string words = "a";
  for (int i = 0; i < 19; ++i) words += " a";  // a token each
  const Protocol& strided = protocol_or_throw("strided");
  const WindowSet half = make_windows(strided, gpt2, words, 0, {.context = 8});
  EXPECT_EQ(half.windows.size(), 4u);  // 0 ... 8, 4 ... 12, 8 ... 16, 12 ... 20
  EXPECT_EQ(half.protocol, "strided (context 8, stride 4)");
  const WindowSet third = make_windows(strided, gpt2, words, 0, {.context = 8, .stride = 3});
  EXPECT_EQ(third.windows.size(), 5u);  // from 0, 3, 6, 9, 12
  EXPECT_EQ(third.tokens_scored, 19);
  EXPECT_EQ(make_windows(strided, gpt2, words, 16, {}).windows.size(), 2u);  // the model's context, 0 ... 16, 8 ... 20
  const WindowSet rolling = make_windows(protocol_or_throw("rolling"), gpt2, words, 0, {.context = 8});
  EXPECT_EQ(rolling.windows.size(), 3u);
  EXPECT_EQ(rolling.windows[1].tokens.size(), 9u);
  EXPECT_EQ(rolling.tokens_scored, 20);
  EXPECT_EQ(rolling.words_scored, 20);
  EXPECT_EQ(rolling.bytes_scored, 39);
  EXPECT_THROW((void)make_windows(strided, gpt2, words, 16, {.context = 32}), Error);
  EXPECT_THROW((void)make_windows(strided, gpt2, words, 0, {.context = 8, .stride = 8}), Error);
}

TEST(Protocols, TheFirstWindowsOnly) {
  const WindowSet set = cut_windows(protocol_or_throw("stories-256"), count_up(30), -1, 4, 2);
  EXPECT_EQ(set.windows.size(), 2u);
  EXPECT_EQ(set.tokens_dropped, 22);
  EXPECT_NE(set.conditions.find("the first 2 of 7 windows"), std::string::npos) << set.conditions;
  EXPECT_NE(set.conditions.find("no BOS"), std::string::npos) << set.conditions;
}

TEST(Protocols, ATextShorterThanAWindowGivesNone) {
  const WindowSet set = cut_windows(protocol_or_throw("gptq-2048"), count_up(3), -1, 4, 0);
  EXPECT_TRUE(set.windows.empty());
  EXPECT_EQ(set.tokens_scored, 0);
  EXPECT_EQ(set.tokens_dropped, 3);
}

// The token counts that the GPTQ scripts and the transformers documentation show for this text.
TEST(Protocols, WikiTextHasTheKnownNumbersOfTokens) {
  PITH_NEED_DATA(text, "text/wikitext2.test.raw");
  PITH_NEED_DATA(gpt2, "gguf_vocab/ggml-vocab-gpt-2.gguf");
  PITH_NEED_DATA(llama, "gguf_vocab/ggml-vocab-llama-spm.gguf");
  const std::string raw = test::read_file(text);
  const Protocol& protocol = protocol_or_throw("gptq-2048");
  const auto of_gpt2 = make_windows(protocol, Tokenizer::from_gguf(GgufFile(gpt2).meta()), raw, 0, {});
  EXPECT_EQ(of_gpt2.windows.size(), 140u);
  EXPECT_EQ(140 * 2048 + of_gpt2.tokens_dropped, 287644);
  const auto of_llama = make_windows(protocol, Tokenizer::from_gguf(GgufFile(llama).meta()), raw, 0, {});
  EXPECT_EQ(of_llama.windows.size(), 166u);
  EXPECT_EQ(166 * 2048 + of_llama.tokens_dropped, 341469);
}

TEST(Protocols, AnUnknownNameListsTheKnown) {
  try {
    protocol_or_throw("c4");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.blame(), Blame::input);
    EXPECT_NE(std::string(e.what()).find(
                  "gptq-2048, llamacpp-512, strided, rolling, ptb-2048, c4-2048, long, bpb, stories-256"),
              std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace pith
