// Values per second of one thread, per format: encode (plain, and with importance weights) and decode.
#include <benchmark/benchmark.h>

#include <vector>

#include "core/rng.h"
#include "formats/format.h"

namespace pith {
namespace {

constexpr dim kRows = 16, kCols = 1536;  // stays in the cache: the kernels, not the memory

struct Data {
  std::vector<float> x = std::vector<float>(kRows * kCols), importance = std::vector<float>(kCols);
  Data() {
    Rng rng(1);
    for (float& v : x) v = float(rng.normal()) * 0.05f;
    for (float& v : importance) v = float(rng.uniform()) + 0.01f;
  }
};

const Data& data() {
  static const Data d;
  return d;
}

void encode(benchmark::State& state, const Format& f, bool weighted) {
  const float* importance = weighted ? data().importance.data() : nullptr;
  std::vector<std::byte> out(std::size_t(row_bytes(f, kCols)));
  for (auto _ : state)
    for (dim r = 0; r < kRows; ++r) {
      f.encode(f, data().x.data() + r * kCols, importance, kCols, {}, out.data());
      benchmark::DoNotOptimize(out.data());
    }
  state.SetItemsProcessed(state.iterations() * kRows * kCols);
}

void decode(benchmark::State& state, const Format& f) {
  std::vector<std::byte> row(std::size_t(row_bytes(f, kCols)));
  std::vector<float> out(kCols);
  f.encode(f, data().x.data(), nullptr, kCols, {}, row.data());
  for (auto _ : state) {
    f.decode(f, row.data(), kCols, out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kCols);
}

const bool registered = [] {
  for (const Format* f : all_formats()) {
    const std::string name(f->name);
    for (const bool weighted : {false, true})
      benchmark::RegisterBenchmark((name + (weighted ? "/encode_importance" : "/encode")).c_str(),
                                   [f, weighted](benchmark::State& s) { encode(s, *f, weighted); });
    benchmark::RegisterBenchmark((name + "/decode").c_str(), [f](benchmark::State& s) { decode(s, *f); });
  }
  return true;
}();

}  // namespace
}  // namespace pith
