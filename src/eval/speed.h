// How fast a model runs here: time to load, to the first token and per token, with what it costs in memory.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/progress.h"
#include "eval/machine_peaks.h"
#include "model/fast_network.h"

namespace pith {

struct SpeedOptions {
  dim prompt = 512;                // tokens of prefill; 0: none
  dim generate = 128;              // tokens of decode; 0: none
  std::vector<dim> depths = {0};   // tokens already in the cache
  std::vector<dim> batches = {1};  // sequences decoded at once
  std::vector<int> threads;        // empty: num_threads()
  int runs = 5;                    // of each, after one that does not count
  bool exact = false;              // products in f32
  std::optional<KvSpec> kv = {};
  std::optional<ActSpec> activations = {};
};

// Median and the 95th percentile of some times, in seconds.
struct Times {
  double median = 0, p95 = 0;
};
Times times_of(std::vector<double> seconds);

struct SpeedCase {
  int threads = 0;
  dim depth = 0, batch = 1;
  double prefill = 0, decode = 0;          // tokens a second: median of the runs; 0: not measured
  Times first_token = {};                  // of a prompt of the given length, its first token included
  Times per_token = {};                    // time between tokens, over all runs
  double prefill_ops = 0, decode_ops = 0;  // operations a token, about
  double decode_bytes = 0;                 // weights and keys and values read for each step of decode
  double joules_per_token = 0;             // of decode; 0: the machine does not tell
};

struct ModelSpeed {
  std::string model;
  dim parameters = 0, file_bytes = 0;
  double bits_per_weight = 0;
  double kept_share = 1;    // of the operations of linear layers that are not with zeros the file leaves out
  double load_seconds = 0;  // opened and stored as the products read it
  dim stored_bytes = 0;     // in memory of its own; 0: products read the file's bytes
  bool integer = false;     // most of them for products of 8-bit integers
  dim peak_ram_bytes = 0;   // 0: unknown
  std::string kv, activations;
  std::vector<SpeedCase> cases;
};

// Shares of what the machine could do (docs/metrics.md); 0 where the peak is not known. Operations: of the fastest
// products that the model's matrices can use.
double prefill_mfu(const MachinePeaks& peaks, const ModelSpeed& model, const SpeedCase& at);
double decode_mfu(const MachinePeaks& peaks, const ModelSpeed& model, const SpeedCase& at);
double decode_mbu(const MachinePeaks& peaks, const SpeedCase& at);

ModelSpeed measure_speed(const std::string& path, const SpeedOptions& options, Progress& progress);

}  // namespace pith
