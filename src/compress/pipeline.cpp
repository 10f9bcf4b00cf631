#include "compress/pipeline.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <future>
#include <limits>
#include <stop_token>

#include "compress/fingerprint.h"
#include "compress/prepare.h"
#include "compress/tensor_writer.h"
#include "compress/verify.h"
#include "core/error.h"
#include "core/memory.h"
#include "io/stage.h"

namespace pith {

namespace {

constexpr dim kDiskSlackBytes = dim(16) << 20;  // side files, journal, the file system's own records

std::string human(dim bytes) { return fmt::format("{:.3f} GB", double(bytes) / 1e9); }

// What an earlier run of the same target reserved already.
dim staged_bytes(std::filesystem::path target) {
  if (!target.has_filename()) target = target.parent_path();  // "folder/"
  const auto folder = target.parent_path() / ("." + target.filename().string() + ".pith-partial");
  std::error_code fault;
  dim bytes = 0;
  for (std::filesystem::recursive_directory_iterator it(folder, fault), end; !fault && it != end; it.increment(fault)) {
    std::error_code unknown;
    const auto size = it->is_regular_file(unknown) ? it->file_size(unknown) : 0;
    if (!unknown) bytes += dim(size);
  }
  return bytes;
}

void check_room(const Model& model, const Prepared& p, const std::filesystem::path& target, const RunLimits& limits) {
  dim needed = p.preflight.output_bytes + kDiskSlackBytes;
  for (const SideFile& file : p.plan.side_files) needed += dim(file.text.size());
  if (p.calibration) needed += scratch_bytes(p) + FisherDiagonal::scratch_bytes(model, p.fisher);
  const dim room = p.preflight.disk_free_bytes + staged_bytes(target);
  if (needed > room)
    throw Error(Blame::environment, target.string(),
                fmt::format("expected {} free on the disk, there are {}", human(needed), human(room)),
                "free some room, write elsewhere, or choose a smaller format");
  if (limits.max_ram_bytes && p.preflight.peak_ram_bytes > *limits.max_ram_bytes)
    throw Error(Blame::environment, "memory",
                fmt::format("expected to stay below {}, the run is predicted to need {}", human(*limits.max_ram_bytes),
                            human(p.preflight.peak_ram_bytes)),
                "raise the limit; its largest part is one panel of the widest tensor");
}

TensorOutcome outcome_of(const TensorPlan& plan, const TensorSums& sums) {
  const double values = double(std::max<dim>(1, plan.rows * plan.cols));
  TensorOutcome out{.name = plan.name,
                    .role = plan.role,
                    .layer = plan.layer,
                    .format = plan.to,
                    .rmse = std::sqrt(sums.error / values),
                    .relative_error = 0,
                    .sqnr_db = std::numeric_limits<double>::infinity(),
                    .bytes = plan.bytes_after,
                    .values = plan.rows * plan.cols,
                    .zeros = sums.zeros,
                    .tokens = -1,
                    .note = {}};
  if (sums.error > 0) {
    out.relative_error = std::sqrt(sums.error / sums.source);
    out.sqnr_db = 10 * std::log10(sums.source / sums.error);
  }
  return out;
}

dim values_of(const Prepared& prepared) {
  dim values = 0;
  for (const ExportTensor& t : prepared.plan.tensors) values += prepared.plan_for(t).rows * prepared.plan_for(t).cols;
  return values;
}

std::vector<TensorOutcome> write_tensors(const WriterCall& call) {
  const Prepared& prepared = call.prepared;
  const std::vector<Written> written = TensorWriter(call).write_all();
  std::vector<TensorOutcome> outcomes;
  for (std::size_t i = 0; i < written.size(); ++i) {
    outcomes.push_back(outcome_of(prepared.plan_for(prepared.plan.tensors[i]), written[i].sums));
    outcomes.back().tokens = written[i].tokens;
    outcomes.back().note = written[i].note;
  }
  return outcomes;
}

// Runs beside the rest, for as long as it is wanted.
class SourceHash {
 public:
  explicit SourceHash(const Model& model)
      : hash_(std::async(std::launch::async, [&model, stop = stop_.get_token()] { return model.source_hash(stop); })) {}
  ~SourceHash() { stop_.request_stop(); }
  std::string get() { return hash_.get(); }

 private:
  std::stop_source stop_;
  std::future<std::string> hash_;
};

std::vector<std::filesystem::path> staged_files(const Stage& stage, const ExportPlan& plan) {
  std::vector<std::filesystem::path> files;
  for (const ExportFile& file : plan.files) files.push_back(stage.folder() / file.name);
  return files;
}

// Reading back, hashing and waiting for the disk, side by side.
void finish(Stage& stage, OutputHash& hash, const Model& model, const Prepared& prepared, Outcome& outcome) {
  for (const auto& file : staged_files(stage, prepared.plan))
    outcome.output_bytes += dim(std::filesystem::file_size(file));
  auto durable = std::async(std::launch::async, [&] { stage.sync(); });
  verify(stage.folder(), model, prepared);
  outcome.output_hash = hash.get();
  durable.get();
}

void add_files(const ExportPlan& plan, Stage& stage) {
  for (const ExportFile& file : plan.files) {
    stage.add_file(file.name, file.total_bytes);
    stage.write(file.name, 0, std::as_bytes(std::span(file.head)));
  }
  for (const SideFile& file : plan.side_files) stage.write_text(file.name, file.text);
}

}  // namespace

Outcome compress(const Model& source, const Recipe& recipe, Container container, const std::filesystem::path& target,
                 const RunLimits& limits, Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  progress.begin("prepare", 1);
  const std::optional<Model> reshaped = reshaped_model(source, recipe, container, progress);
  const Model& model = reshaped ? *reshaped : source;
  Prepared prepared = prepare(source, model, recipe, container, target, progress);
  check_room(model, prepared, target, limits);
  Outcome outcome;
  SourceHash source_hash(model);

  const ExportPlan& plan = prepared.plan;
  Stage stage(target, container == Container::gguf ? Stage::Kind::file : Stage::Kind::folder,
              fingerprint(model.source_stamp(), recipe, prepared),
              {.resume = limits.resume, .overwrite = limits.overwrite});
  add_files(plan, stage);
  OutputHash output_hash(staged_files(stage, plan));
  std::optional<Calibrator> calibrator;
  std::optional<FisherDiagonal> fisher;
  if (prepared.calibration) {
    progress.begin("calibration text", 1);
    CalibrationTokens tokens = calibration_tokens(model, *prepared.calibration);
    if (!prepared.fisher.empty()) {
      progress.begin("gradients", dim(tokens.sequences.size()));
      fisher.emplace(model, prepared.fisher, stage).measure(tokens, progress);
    }
    calibrator.emplace(model, std::move(tokens), calibrator_options(prepared, recipe, limits, target));
    outcome.calibration_tokens = calibrator->tokens();
    for (const std::string& note : calibrator->notes()) prepared.preflight.notes.push_back(note);
  }
  progress.begin("compress", values_of(prepared));
  outcome.tensors = write_tensors({model, recipe, prepared, stage, output_hash, calibrator ? &*calibrator : nullptr,
                                   fisher ? &*fisher : nullptr, progress});
  for (const std::size_t i : prepared.in_head) outcome.tensors.push_back(outcome_of(prepared.preflight.tensors[i], {}));
  progress.begin("verify", 1);
  finish(stage, output_hash, model, prepared, outcome);
  outcome.source_hash = source_hash.get();
  stage.commit();
  progress.end();

  outcome.preflight = std::move(prepared.preflight);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  outcome.peak_ram_bytes = peak_ram_bytes();
  return outcome;
}

}  // namespace pith
