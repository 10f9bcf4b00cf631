// Models measured alike: what was measured of each, as plain values that are kept as JSON and read back.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "eval/machine.h"
#include "eval/machine_peaks.h"
#include "eval/perplexity.h"
#include "eval/profile.h"

namespace pith::report {

struct SizeRecord {
  dim file_bytes = 0, weight_bytes = 0, linear_bytes = 0;
  dim parameters = 0, linear_parameters = 0;
  double zeros = 0;                     // share of the linear layers' values
  double linear_ops = 0, head_ops = 0;  // a token, zeros and all
  double kv_bytes_per_token = 0;
  double bits() const { return parameters > 0 ? 8 * double(weight_bytes) / double(parameters) : 0; }
  double linear_bits() const {
    return linear_parameters > 0 ? 8 * double(linear_bytes) / double(linear_parameters) : 0;
  }
  double theoretical_ops() const { return linear_ops * (1 - zeros) + head_ops; }
};

// Of the base itself, `against_base` is empty.
struct DivergenceRecord {
  Interval kl, top1, rms_delta_p;
  double median = 0, p90 = 0, p99 = 0, most = 0;
  std::vector<double> by_window;  // sums of KL
};
struct QualityRecord {
  Interval nll, perplexity, bits_per_byte;
  std::vector<WindowScore> by_window;
  std::vector<PositionScore> by_position;
  std::optional<DivergenceRecord> against_base;
};

// Rates in tokens a second, times in seconds.
struct SpeedRecord {
  int threads = 0;
  double prefill = 0, decode = 0, first_token = 0, per_token = 0, per_token_p95 = 0, load = 0;
  double mfu = 0, mbu = 0;  // of prefill; of decode
  dim peak_ram = 0;
};

struct TaskRecord {
  std::string name, metric, data_hash;
  dim items = 0;
  double value = 0, error = 0;  // standard error
  bool graded = false;          // the metric is no share of right answers
  std::string right;            // an item a character: 1 right, 0 wrong
};

struct LayerRecord {
  std::vector<double> errors, peaks;  // see eval/profile.h
  Histogram weights, activations;
};

// Error of a tensor's values against the source's, where pith wrote the file and they are not the same.
struct TensorError {
  std::string role;
  dim layer = -1;
  double relative = 0;
};

struct ModelRecord {
  std::string name, path, hash;          // hash: XXH3 of the source, as reports give it
  std::string family;                    // "llama"
  std::string container;                 // "gguf", "hf", ...; empty: a folder of unknown kind
  std::string category, method, format;  // of what pith wrote: "post-training quantization", "gptq", "q4_0"
  std::string weight_bits;               // as tables say it: of linears, "4.50"
  std::string activations = "f32", kv = "f32";
  double activation_bits = 32, kv_bits = 32;
  std::string recipe;  // YAML; empty where unknown
  bool pruned = false;
  SizeRecord size;
  std::optional<QualityRecord> quality;
  std::optional<SpeedRecord> speed;
  std::vector<TaskRecord> tasks;
  std::optional<LayerRecord> layers;
  std::vector<TensorError> tensors;
  std::vector<std::string> samples;  // answers to the study's prompts
  std::vector<std::string> notes;
  double compress_seconds = 0;  // 0: it was there
};

// A model that was to be measured and is not.
struct MissingModel {
  std::string name, why, recipe;
};

// All under one protocol, on one text and one machine.
struct Study {
  std::string title;
  std::string protocol, conditions, text_name, text_hash;
  std::vector<std::string> prompts;
  std::optional<ModelRecord> base;
  std::vector<ModelRecord> models;
  std::vector<MissingModel> missing;
  Machine machine;
  MachinePeaks peaks;  // of no threads: not measured
  dim speed_prompt = 0, speed_generate = 0, speed_runs = 0;
  std::uint64_t seed = 0;  // of the bootstrap
};

std::string to_json(const ModelRecord& record);
// Error(input) naming `where` for what is no such record.
ModelRecord record_of_json(const std::string& text, const std::string& where);

// Against the base (or, without one, the first model): 0 where it is not known.
const ModelRecord& reference_of(const Study& study);
double compression_ratio(const Study& study, const ModelRecord& m);
double prefill_speedup(const Study& study, const ModelRecord& m);
double decode_speedup(const Study& study, const ModelRecord& m);
std::optional<double> delta_perplexity(const Study& study, const ModelRecord& m);
// What charts rank models by: KL divergence from the base where there is one, else perplexity.
std::optional<Interval> quality_of(const ModelRecord& m);
bool has_divergence(const Study& study);
// The base first, then the models.
std::vector<const ModelRecord*> all_of(const Study& study);

}  // namespace pith::report
