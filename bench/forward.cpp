// Prefill as perplexity runs it (windows of 512 tokens, logits of the second half) and single-token decode, on a
// network of SmolLM2-135M's shape with random bf16 weights.
#include "model/forward.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <list>
#include <memory>

#include "core/half.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "formats/format.h"

namespace {

using namespace pith;

struct RandomNetwork {
  Config config;
  std::list<Weight> weights;
  std::vector<float> ones = std::vector<float>(576, 1.0f);
  std::vector<Block> blocks;
  Network net;

  Linear linear(dim rows, dim cols) {
    Encoded e;
    e.format = &bf16_format();
    e.rows = rows;
    e.cols = cols;
    e.owned = Buffer(rows * cols * 2);
    e.data = e.owned.data();
    const float spread = float(1 / std::sqrt(double(cols)));
    parallel_for(rows * cols, [&](dim i) {
      e.owned.as<std::uint16_t>()[i] = f32_to_bf16((uniform_at(weights.size(), std::uint64_t(i)) * 2 - 1) * spread);
    });
    weights.push_back(std::move(e));
    return {&weights.back(), nullptr};
  }

  RandomNetwork() {
    config.vocab = 49152;
    config.hidden = 576;
    config.layers = 30;
    config.heads = 9;
    config.kv_heads = 3;
    config.head_dim = 64;
    config.ffn = 1536;
    config.context = 8192;
    config.rope.dims = 64;
    config.rope.base = 100000;
    const Norm norm = {ones.data(), nullptr};
    net.config = &config;
    net.embed = net.lm_head = linear(config.vocab, config.hidden);
    net.output_norm = norm;
    for (dim l = 0; l < config.layers; ++l) {
      Block b;
      b.attn_norm = b.ffn_norm = norm;
      b.q = linear(576, 576);
      b.k = linear(192, 576);
      b.v = linear(192, 576);
      b.o = linear(576, 576);
      b.gate = linear(1536, 576);
      b.up = linear(1536, 576);
      b.down = linear(576, 1536);
      blocks.push_back(b);
    }
    net.blocks = blocks;
  }
};

RandomNetwork& network() {
  static const auto net = std::make_unique<RandomNetwork>();
  return *net;
}

void prefill(benchmark::State& state) {
  RandomNetwork& net = network();
  const dim windows = state.range(0);
  Forward forward(net.net);
  KvCache cache(net.config, windows, 512);
  std::vector<Token> tokens(512);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = Token(mix64(1, i) % 49152);
  std::vector<Chunk> chunks;
  for (dim w = 0; w < windows; ++w) chunks.push_back({w, tokens, 256});
  for (auto _ : state) {
    cache.clear();
    forward.run(cache, chunks, [](dim, const float* logits, dim) { benchmark::DoNotOptimize(logits); });
  }
  state.counters["tokens/s"] =
      benchmark::Counter(double(state.iterations() * windows * 512), benchmark::Counter::kIsRate);
}
BENCHMARK(prefill)->Arg(4)->Arg(8)->UseRealTime()->Unit(benchmark::kMillisecond);

void decode(benchmark::State& state) {
  RandomNetwork& net = network();
  Forward forward(net.net);
  KvCache cache(net.config, 1, 2048);
  std::vector<Token> tokens(std::size_t(state.range(0)), 5);
  forward.next(cache, tokens);
  const Token one[] = {7};
  for (auto _ : state) {
    cache.truncate(0, state.range(0));
    benchmark::DoNotOptimize(forward.next(cache, one).data());
  }
  state.counters["tokens/s"] = benchmark::Counter(double(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(decode)->Arg(16)->Arg(1024)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
