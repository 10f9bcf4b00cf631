// Values per second of the super-block formats, one thread.
#include <benchmark/benchmark.h>

#include <vector>

#include "core/rng.h"
#include "formats/format.h"

namespace pith {
namespace {

constexpr dim kValues = 1 << 16;

std::vector<float> normal_values(std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(kValues);
  for (float& v : x) v = 0.02f * float(rng.normal());
  return x;
}

void encode(benchmark::State& state, const Format& f, bool weighted) {
  const auto x = normal_values(0);
  auto w = normal_values(1);
  for (float& v : w) v *= v;
  std::vector<std::byte> bytes(std::size_t(row_bytes(f, kValues)));
  for (auto _ : state) {
    f.encode(f, x.data(), weighted ? w.data() : nullptr, kValues, {}, bytes.data());
    benchmark::DoNotOptimize(bytes.data());
  }
  state.SetItemsProcessed(state.iterations() * kValues);
}

void decode(benchmark::State& state, const Format& f) {
  auto x = normal_values(0);
  std::vector<std::byte> bytes(std::size_t(row_bytes(f, kValues)));
  f.encode(f, x.data(), nullptr, kValues, {}, bytes.data());
  for (auto _ : state) {
    f.decode(f, bytes.data(), kValues, x.data());
    benchmark::DoNotOptimize(x.data());
  }
  state.SetItemsProcessed(state.iterations() * kValues);
}

const int kRegistered = [] {
  for (const char* name : {"q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_xs"}) {
    const Format& f = format_or_throw(name);
    const std::string text = name;
    benchmark::RegisterBenchmark((text + "/encode").c_str(), [&f](benchmark::State& s) { encode(s, f, false); });
    benchmark::RegisterBenchmark((text + "/encode_weighted").c_str(),
                                 [&f](benchmark::State& s) { encode(s, f, true); });
    benchmark::RegisterBenchmark((text + "/decode").c_str(), [&f](benchmark::State& s) { decode(s, f); });
  }
  return 0;
}();

}  // namespace
}  // namespace pith
