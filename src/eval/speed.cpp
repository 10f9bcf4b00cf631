#include "eval/speed.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "core/error.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "core/stopwatch.h"
#include "eval/token_cost.h"

namespace pith {

namespace {

double median(std::vector<double> values) { return times_of(std::move(values)).median; }

// The energy that the processor says it used, in joules; -1 where it cannot be read.
double energy_joules() {
  std::ifstream counter("/sys/class/powercap/intel-rapl:0/energy_uj");
  double microjoules = 0;
  return counter >> microjoules ? microjoules * 1e-6 : -1;
}

class Bench {
 public:
  Bench(const Model& model, const Network& network, const SpeedOptions& options, Progress& progress)
      : model_(model),
        network_(network),
        o_(options),
        progress_(progress),
        cost_(token_cost(model.config(), model.tensors())) {}

  SpeedCase run(int threads, dim depth, dim batch) {
    set_num_threads(threads);
    SpeedCase result = {.threads = threads, .depth = depth, .batch = batch};
    Forward forward(network_);
    const KvSpec& kv = o_.kv ? *o_.kv : model_.run_time().kv;
    const dim capacity = depth + std::max(o_.prompt, o_.generate + 1);
    KvCache cache(model_.config(), batch, capacity, kv);
    for (dim s = 0; s < batch; ++s) go_on(forward, cache, s, depth);
    if (o_.prompt > 0) prefill(forward, cache, result);
    for (dim s = 1; s < batch; ++s) cache.truncate(s, depth);
    if (o_.generate > 0) decode(forward, cache, result);
    result.decode_bytes +=
        double(KvCache::bytes(model_.config(), batch, 1024, kv)) / 1024 * (double(depth) + double(o_.generate) / 2);
    return result;
  }

 private:
  std::vector<Token> tokens(dim count) {
    std::vector<Token> out;
    for (dim i = 0; i < count; ++i) out.push_back(Token(rng_.below(model_.config().vocab)));
    return out;
  }

  void go_on(Forward& forward, KvCache& cache, dim sequence, dim count) {
    if (count == 0) return;
    const std::vector<Token> t = tokens(count);
    const Chunk chunk = {sequence, t, count};
    forward.run(cache, {&chunk, 1}, [](dim, const float*, dim) {});
  }

  void prefill(Forward& forward, KvCache& cache, SpeedCase& result) {
    std::vector<double> seconds;
    for (int run = 0; run <= o_.runs; ++run) {
      cache.truncate(0, result.depth);
      const std::vector<Token> prompt = tokens(o_.prompt);
      const auto start = Clock::now();
      forward.next(cache, prompt);
      if (run > 0) seconds.push_back(seconds_since(start));
      progress_.advance(1);
    }
    cache.truncate(0, result.depth);
    result.first_token = times_of(seconds);
    result.prefill = double(o_.prompt) / result.first_token.median;
    result.prefill_ops = cost_.prefill_ops(o_.prompt, result.depth);
  }

  void decode(Forward& forward, KvCache& cache, SpeedCase& result) {
    std::vector<double> rates, steps, joules;
    for (int run = 0; run <= o_.runs; ++run) {
      for (dim s = 0; s < result.batch; ++s) cache.truncate(s, result.depth);
      const double energy = energy_joules();
      const auto start = Clock::now();
      for (dim i = 0; i < o_.generate; ++i) {
        const auto step = Clock::now();
        one_step(forward, cache, result.batch);
        if (run > 0) steps.push_back(seconds_since(step));
      }
      const double made = double(o_.generate * result.batch);
      if (run > 0) rates.push_back(made / seconds_since(start));
      if (run > 0 && energy >= 0 && energy_joules() > energy) joules.push_back((energy_joules() - energy) / made);
      progress_.advance(1);
    }
    result.decode = median(rates);
    result.per_token = times_of(steps);
    if (!joules.empty()) result.joules_per_token = median(joules);
    result.decode_ops = cost_.decode_ops(double(result.depth) + double(o_.generate) / 2);
    result.decode_bytes = cost_.bytes;
  }

  void one_step(Forward& forward, KvCache& cache, dim batch) {
    const std::vector<Token> next = tokens(batch);
    std::vector<Chunk> chunks;
    for (dim s = 0; s < batch; ++s) chunks.push_back({s, std::span(next).subspan(std::size_t(s), 1), 0});
    forward.run(cache, chunks, [](dim, const float*, dim) {});
  }

  const Model& model_;
  const Network& network_;
  const SpeedOptions& o_;
  Progress& progress_;
  TokenCost cost_;
  Rng rng_{1};
};

double peak_of(const MachinePeaks& p, const ModelSpeed& m) {
  if (m.integer && p.int8 > 0) return p.int8;
  return p.bf16 > 0 ? p.bf16 : p.f32;
}

double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

}  // namespace

double prefill_mfu(const MachinePeaks& p, const ModelSpeed& m, const SpeedCase& c) {
  return share(c.prefill_ops * c.prefill, peak_of(p, m));
}
double decode_mfu(const MachinePeaks& p, const ModelSpeed& m, const SpeedCase& c) {
  return share(c.decode_ops * c.decode, peak_of(p, m));
}
double decode_mbu(const MachinePeaks& p, const SpeedCase& c) {
  return share(c.decode_bytes * c.decode / double(c.batch), p.read);
}

Times times_of(std::vector<double> seconds) {
  PITH_CHECK(!seconds.empty());
  std::sort(seconds.begin(), seconds.end());
  const std::size_t n = seconds.size();
  const auto at95 = std::min(n - 1, (n * 95 + 99) / 100 - 1);
  return {n % 2 == 1 ? seconds[n / 2] : (seconds[n / 2 - 1] + seconds[n / 2]) / 2, seconds[at95]};
}

ModelSpeed measure_speed(const std::string& path, const SpeedOptions& o, Progress& progress) {
  const bool fresh = reset_peak_ram();
  const auto start = Clock::now();
  const Model model = Model::open(path);
  const ActPlan* act = o.activations ? &o.activations->plan() : nullptr;
  const FastNetwork fast(model, act, o.exact);
  ModelSpeed result;
  result.model = path;
  result.load_seconds = seconds_since(start);
  result.stored_bytes = fast.size_bytes();
  result.integer = 2 * fast.panel_bytes() > fast.size_bytes();
  result.file_bytes = model.file_bytes();
  dim bytes = 0;
  for (const ModelTensor& t : model.tensors()) {
    result.parameters += t.weight.rows * t.weight.cols;
    bytes += bytes_of(t);
  }
  result.bits_per_weight = 8 * double(bytes) / double(result.parameters);
  const TokenCost cost = token_cost(model.config(), model.tensors());
  result.kept_share = cost.linear_ops > 0 ? cost.kept_ops / cost.linear_ops : 1;
  result.kv = (o.kv ? *o.kv : model.run_time().kv).text();
  result.activations = (o.activations ? *o.activations : model.run_time().activations).text();

  const std::vector<int> threads = o.threads.empty() ? std::vector<int>{num_threads()} : o.threads;
  const int before = num_threads();
  const dim parts = (o.prompt > 0) + (o.generate > 0);
  progress.begin("bench " + model.path().filename().string(),
                 dim(threads.size() * o.depths.size() * o.batches.size()) * parts * (o.runs + 1));
  Bench bench(model, fast.network(), o, progress);
  for (const int t : threads)
    for (const dim depth : o.depths)
      for (const dim batch : o.batches) result.cases.push_back(bench.run(t, depth, batch));
  progress.end();
  set_num_threads(before);
  result.peak_ram_bytes = fresh ? peak_ram_bytes() : 0;
  return result;
}

}  // namespace pith
