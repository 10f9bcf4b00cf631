#include "study/measure.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "eval/profile.h"
#include "eval/token_cost.h"
#include "io/files.h"
#include "io/sha256.h"
#include "report/inspect.h"
#include "serve/generate.h"

namespace pith {

using report::ModelRecord;

namespace {

constexpr std::size_t kProfileTokens = 256;

std::string bits_text(double bits) { return bits > 0 ? fmt::format("{:.2f}", bits) : ""; }

double activation_bits(const ActSpec& spec) {
  const ActPlan& plan = spec.plan();
  if (!plan.on()) return 32;
  return plan.codes == ActPlan::Codes::e4m3 ? 8 : plan.bits;
}

// The formats that linear layers are stored in, the largest first.
std::string formats_of(const report::ModelSummary& summary) {
  std::vector<std::pair<dim, std::string>> found;
  for (const report::TensorGroup& g : summary.groups) {
    if (!is_linear(g.role) || g.part != Part::weight) continue;
    const auto same = std::find_if(found.begin(), found.end(), [&](const auto& f) { return f.second == g.format; });
    if (same == found.end())
      found.emplace_back(g.parameters, g.format);
    else
      same->first += g.parameters;
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  if (found.empty()) return {};
  return found.size() > 2    ? fmt::format("{} and {} others", found[0].second, found.size() - 1)
         : found.size() == 2 ? found[0].second + ", " + found[1].second
                             : found[0].second;
}

void add_sizes(const Model& model, const MeasureOptions& options, ModelRecord& record) {
  const report::ModelSummary summary = report::summarize(model, 0, options.eval.kv);
  record.family = summary.config.arch;
  record.container = model.is_gguf() ? "gguf" : "";
  record.format = formats_of(summary);
  record.size = {.file_bytes = summary.file_bytes,
                 .weight_bytes = summary.tensor_bytes,
                 .linear_bytes = summary.linear_bytes,
                 .parameters = summary.parameters,
                 .linear_parameters = summary.linear_parameters,
                 .zeros = count_zeros(model).share(),
                 .linear_ops = summary.cost.linear_ops,
                 .head_ops = summary.cost.head_ops,
                 .kv_bytes_per_token = double(summary.kv_bytes_per_token)};
  record.weight_bits = bits_text(record.size.linear_bits());
  const KvSpec& kv = options.eval.kv ? *options.eval.kv : model.run_time().kv;
  const ActSpec& act = options.eval.activations ? *options.eval.activations : model.run_time().activations;
  record.kv = kv.text();
  record.kv_bits = KvCache::bits_per_value(model.config(), kv);
  record.activations = act.text();
  record.activation_bits = activation_bits(act);
  record.notes = summary.notes;
}

report::QualityRecord quality_of(const EvalResult& r) {
  return {.nll = r.nll,
          .perplexity = r.perplexity,
          .bits_per_byte = r.bits_per_byte,
          .by_window = r.by_window,
          .by_position = r.by_position,
          .against_base = {}};
}

report::DivergenceRecord divergence_of(const Divergence& d) {
  return {.kl = d.kl,
          .top1 = d.top1_agreement,
          .rms_delta_p = d.rms_delta_p,
          .median = d.kl_median,
          .p90 = d.kl_p90,
          .p99 = d.kl_p99,
          .most = d.kl_max,
          .by_window = d.kl_by_window};
}

// The figure to quote: the first where more is better (a perplexity is beside the point here).
report::TaskRecord task_of(const TaskResult& r) {
  std::size_t at = 0;
  while (at < r.metrics.size() && !r.metrics[at].higher_is_better) ++at;
  if (at == r.metrics.size()) at = 0;
  const TaskMetric& m = r.metrics.at(at);
  report::TaskRecord record{.name = r.name,
                            .metric = m.filter == "none" ? m.name : m.name + ", " + m.filter,
                            .data_hash = r.data_hash,
                            .items = dim(r.items.size()),
                            .value = m.value,
                            .error = m.standard_error,
                            .right = {}};
  for (const ItemResult& item : r.items) {
    const double value = item.values.at(at);
    record.graded = record.graded || (value != 0 && value != 1);
    record.right += item.correct ? '1' : '0';
  }
  return record;
}

report::SpeedRecord speed_of(const MachinePeaks& peaks, const ModelSpeed& speed) {
  const SpeedCase& c = speed.cases.at(0);
  return {.threads = c.threads,
          .prefill = c.prefill,
          .decode = c.decode,
          .first_token = c.first_token.median,
          .per_token = c.per_token.median,
          .per_token_p95 = c.per_token.p95,
          .load = speed.load_seconds,
          .mfu = prefill_mfu(peaks, speed, c),
          .mbu = decode_mbu(peaks, c),
          .peak_ram = speed.peak_ram_bytes};
}

}  // namespace

Measurer::Measurer(MeasureOptions options, std::string base) : options_(std::move(options)), base_(std::move(base)) {
  if (!options_.text_file.empty()) {
    protocol_or_throw(options_.eval.protocol);
    text_ = read_text_file(options_.text_file);
    text_hash_ = sha256_hex(text_);
  }
  if (options_.speed) peaks_ = measure_peaks();
}

ModelRecord Measurer::measure(const std::string& path, Progress& progress) const {
  ModelRecord record;
  record.path = path;
  if (options_.speed) record.speed = speed_of(peaks_, measure_speed(path, *options_.speed, progress));
  const Model model = Model::open(path);
  record.name = model_stem(model.path());
  record.hash = model.source_hash();
  add_sizes(model, options_, record);
  std::optional<Model> base;
  if (has_base() && path != base_) base = Model::open(base_);
  add_quality(model, base ? &*base : nullptr, record, progress);
  add_layers(model, base ? &*base : nullptr, record, progress);
  base.reset();
  add_tasks(model, record, progress);
  add_samples(model, record, progress);
  progress.end();
  return record;
}

void Measurer::add_quality(const Model& model, const Model* base, ModelRecord& record, Progress& progress) const {
  if (text_.empty()) return;
  if (base) {
    const Comparison got = compare(model, *base, text_, options_.eval, progress, &base_logits_);
    record.quality = quality_of(got.model);
    record.quality->against_base = divergence_of(got.divergence);
    return;
  }
  EvalOptions options = options_.eval;
  if (record.path == base_) {  // as `compare` runs it
    options.fast = false;
    options.kv.reset();
    options.activations.reset();
  }
  record.quality = quality_of(evaluate(model, text_, options, progress));
}

void Measurer::add_layers(const Model& model, const Model* base, ModelRecord& record, Progress& progress) const {
  if (!options_.layers || text_.empty() || !model.has_tokenizer()) return;
  std::vector<Token> tokens = model.tokenizer().encode(std::string_view(text_).substr(0, 16 * kProfileTokens));
  tokens.resize(std::min(tokens.size(), kProfileTokens));
  LayerProfile profile = profile_layers(model, base, tokens, progress);
  record.layers = {.errors = std::move(profile.errors),
                   .peaks = std::move(profile.peaks),
                   .weights = weight_histogram(model),
                   .activations = std::move(profile.activations)};
}

void Measurer::add_tasks(const Model& model, ModelRecord& record, Progress& progress) const {
  if (options_.tasks.empty()) return;
  TaskOptions options = options_.task_options;
  if (record.path != base_) {
    options.kv = options_.eval.kv;
    options.activations = options_.eval.activations;
    options.fast = options_.eval.fast;
  }
  for (const TaskResult& result : run_tasks(model, options_.tasks, options, progress))
    record.tasks.push_back(task_of(result));
}

void Measurer::add_samples(const Model& model, ModelRecord& record, Progress& progress) const {
  if (options_.prompts.empty()) return;
  progress.begin("samples", dim(options_.prompts.size()));
  for (const std::string& prompt : options_.prompts) {
    const std::vector<Token> tokens = model.tokenizer().encode(prompt);
    const GenerateOptions options{.max_tokens = options_.sample_tokens};
    record.samples.push_back(generate(model, tokens, options, [](std::string_view) { return true; }).text);
    progress.advance(1);
  }
}

report::Study Measurer::empty_study() const {
  report::Study study;
  study.machine = this_machine();
  study.peaks = peaks_;
  study.prompts = options_.prompts;
  study.seed = options_.seed;
  if (!text_.empty()) {
    study.protocol = options_.eval.protocol;
    study.text_name = std::filesystem::path(options_.text_file).filename().string();
    study.text_hash = text_hash_;
  }
  if (options_.speed) {
    study.speed_prompt = options_.speed->prompt;
    study.speed_generate = options_.speed->generate;
    study.speed_runs = options_.speed->runs;
  }
  return study;
}

std::string Measurer::conditions(const std::string& path) const {
  if (text_.empty()) return {};
  const Model model = Model::open(path);
  return make_windows(protocol_or_throw(options_.eval.protocol), model.tokenizer(), text_, model.config().context,
                      options_.eval.windows())
      .conditions;
}

ModelRecord without_times(ModelRecord record) {
  record.speed.reset();
  record.compress_seconds = 0;
  return record;
}

}  // namespace pith
