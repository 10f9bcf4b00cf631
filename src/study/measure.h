// Measures models alike, so that they can be compared: size, quality, speed, tasks, layers, and what they say.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/progress.h"
#include "eval/kept_base.h"
#include "eval/perplexity.h"
#include "eval/speed.h"
#include "eval/tasks/run_tasks.h"
#include "report/study/record.h"

namespace pith {

struct MeasureOptions {
  std::string text_file;  // empty: quality is not measured
  EvalOptions eval;       // `fast` and the codecs hold for the models, not for the base
  std::optional<SpeedOptions> speed;
  std::vector<std::string> tasks;    // names and .jsonl files, as run_tasks takes them
  TaskOptions task_options;          // codecs and `fast` are those of `eval`
  std::vector<std::string> prompts;  // each model goes on from them, greedily
  dim sample_tokens = 48;
  bool layers = true;  // profiles and histograms
  std::uint64_t seed = 1;
};

class Measurer {
 public:
  // base: a model's path; empty: none. Reads the text. Error(input) for what cannot be read.
  Measurer(MeasureOptions options, std::string base);

  // A record without what only its maker knows (category, method, recipe).
  report::ModelRecord base(Progress& progress) const { return measure(base_, progress); }
  // Against the base, where there is one. Speed first, while nothing else is open.
  report::ModelRecord measure(const std::string& path, Progress& progress) const;

  bool has_base() const { return !base_.empty(); }
  const MeasureOptions& options() const { return options_; }
  const std::string& text_hash() const { return text_hash_; }
  report::Study empty_study() const;                       // all but models and conditions
  std::string conditions(const std::string& model) const;  // of the windows, in words; empty without a text

 private:
  void add_quality(const Model& model, const Model* base, report::ModelRecord& record, Progress& progress) const;
  void add_layers(const Model& model, const Model* base, report::ModelRecord& record, Progress& progress) const;
  void add_tasks(const Model& model, report::ModelRecord& record, Progress& progress) const;
  void add_samples(const Model& model, report::ModelRecord& record, Progress& progress) const;

  MeasureOptions options_;
  std::string base_, text_, text_hash_;
  MachinePeaks peaks_;
  mutable KeptBase base_logits_;  // so that the base is run once for all models
};

// What of a record does not depend on the day: without speeds and the seconds of compressing.
report::ModelRecord without_times(report::ModelRecord record);

}  // namespace pith
