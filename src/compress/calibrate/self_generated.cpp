#include "compress/calibrate/self_generated.h"

#include <algorithm>

#include "core/error.h"
#include "core/rng.h"
#include "model/forward.h"
#include "model/sampler.h"

namespace pith {

namespace {

constexpr dim kTogether = 16;  // samples that share the work of reading the weights
constexpr dim kGreedy = 4;

Token first_token(const Model& model, Rng& rng) {
  if (model.has_tokenizer() && model.tokenizer().adds_bos() && model.tokenizer().bos() >= 0)
    return model.tokenizer().bos();
  return Token(rng.below(model.config().vocab));
}

struct Writer {
  std::vector<Token> tokens;
  Sampler likeliest, drawn;
  explicit Writer(std::uint64_t seed) : likeliest(SamplerOptions{}), drawn({.temperature = 1, .seed = seed}) {}
  void push(std::span<const float> logits) {
    Sampler& sampler = dim(tokens.size()) <= kGreedy ? likeliest : drawn;
    tokens.push_back(sampler.sample(logits, tokens));
  }
};

void write_together(std::vector<Writer>& writers, const Config& config, dim length, Forward& forward) {
  KvCache cache(config, dim(writers.size()), length);
  for (dim step = 1; step < length; ++step) {
    std::vector<Chunk> chunks;
    for (std::size_t i = 0; i < writers.size(); ++i) chunks.push_back({dim(i), {&writers[i].tokens.back(), 1}, 0});
    std::vector<float> all(writers.size() * std::size_t(config.vocab));
    forward.run(cache, chunks, [&](dim first, const float* logits, dim rows) {
      std::copy_n(logits, rows * config.vocab, all.begin() + first * config.vocab);
    });
    for (std::size_t i = 0; i < writers.size(); ++i)
      writers[i].push(std::span(all).subspan(i * std::size_t(config.vocab), std::size_t(config.vocab)));
  }
}

}  // namespace

CalibrationTokens self_generated(const Model& model, const CalibrationChoice& choice) {
  Forward forward(model);
  CalibrationTokens out;
  out.notes.push_back(
      fmt::format("calibration: {} samples of {} tokens that the model wrote itself", choice.samples, choice.length));
  Rng rng(choice.seed);
  for (dim begin = 0; begin < choice.samples; begin += kTogether) {
    std::vector<Writer> writers;
    for (dim i = begin; i < std::min(choice.samples, begin + kTogether); ++i) {
      const Token first = first_token(model, rng);
      writers.emplace_back(mix64(choice.seed, std::uint64_t(i))).tokens.push_back(first);
    }
    write_together(writers, model.config(), choice.length, forward);
    for (Writer& w : writers) out.sequences.push_back(std::move(w.tokens));
  }
  return out;
}

}  // namespace pith
