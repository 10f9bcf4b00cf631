#include "study/sweep.h"

#include <algorithm>
#include <cmath>

#include "compress/container_choice.h"
#include "compress/fingerprint.h"
#include "compress/pipeline.h"
#include "core/error.h"
#include "core/stopwatch.h"
#include "io/sha256.h"
#include "study/origin.h"
#include "study/sweep_journal.h"

namespace pith {

namespace {

using report::ModelRecord;

// All that measurements depend on beside the recipe. Speeds are of one machine.
std::string stamp_of(const Model& source, const Measurer& measurer) {
  const MeasureOptions& m = measurer.options();
  std::string stamp = fmt::format("{} {} {} {} {} {} {} {}", PITH_VERSION, source.source_stamp(), measurer.text_hash(),
                                  m.eval.protocol, m.eval.max_windows, m.eval.fast, m.layers, m.sample_tokens);
  if (m.speed)
    stamp +=
        fmt::format("\nspeed {} {} {} {}", m.speed->prompt, m.speed->generate, m.speed->runs, this_machine().processor);
  for (const std::string& task : m.tasks)
    stamp += fmt::format("\ntask {} {} {}", task, m.task_options.limit, m.task_options.data.string());
  for (const std::string& prompt : m.prompts) stamp += "\nprompt " + prompt;
  return stamp;
}

// The stages of one point's work under the number of the point and the time that the sweep still needs.
class PointProgress : public Progress {
 public:
  explicit PointProgress(Progress& inner) : inner_(inner) {}
  void at(std::string words) { words_ = std::move(words); }
  void begin(std::string_view stage, dim total) override { inner_.begin(fmt::format("{}: {}", words_, stage), total); }
  void advance(dim units, std::string_view detail) override { inner_.advance(units, detail); }
  void end() override { inner_.end(); }

 private:
  Progress& inner_;
  std::string words_;
};

// One model's part of a sweep.
class ModelSweep {
 public:
  ModelSweep(const SweepPlan& plan, const SweepModel& model)
      : plan_(plan),
        model_(model),
        source_(Model::open(model.path)),
        measurer_(plan.measure, model.path),
        stamp_(stamp_of(source_, measurer_)) {}

  // A recipe with what the source decides of it, where it will be written and its key.
  struct Job {
    RecipeFile recipe;
    Container container;
    std::string key;
  };

  Job job_of(const SweepPoint& point) const {
    Job job{point.recipe, choose_container(point.recipe.container, {}, point.recipe.recipe, source_), {}};
    settle_format(job.recipe.recipe, source_);
    job.recipe.container = std::string(container_name(job.container));
    job.key = key_of(job.recipe);
    return job;
  }

  // Of what files hold, not of where they lie.
  std::string key_of(RecipeFile recipe) const {
    std::string contents;
    const auto take = [&](std::filesystem::path& file) {
      contents += sha256_of_files(std::span(&file, 1));
      file = file.filename();
    };
    if (recipe.recipe.calibration)
      for (std::filesystem::path& file : recipe.recipe.calibration->files) take(file);
    if (recipe.recipe.importance_file) take(*recipe.recipe.importance_file);
    return sha256_hex(stamp_ + "\n" + recipe_yaml(recipe) + contents);
  }

  std::string base_key() const { return sha256_hex(stamp_ + "\nthe original"); }
  ModelRecord measured_base(Progress& progress) const { return measurer_.base(progress); }

  ModelRecord measured(const Job& job, const SweepPoint& point, Progress& progress) const {
    const std::string ending = is_folder(job.container) ? "" : ".gguf";
    const auto folder = plan_.out / "models" / file_name(model_.name);
    std::filesystem::create_directories(folder);
    // Under the key, so that a killed point goes on in its own partial output and in no other's.
    const auto work = folder / (".work-" + job.key.substr(0, 16) + ending);
    try {
      const Outcome outcome = compress(source_, job.recipe.recipe, job.container, work,
                                       {.max_ram_bytes = {}, .overwrite = true, .resume = true}, progress);
      ModelRecord record = measurer_.measure(work.string(), progress);
      add_origin(job.recipe, outcome, record);
      const auto path = folder / (file_name(point.name) + ending);
      record.path = plan_.keep ? path.lexically_relative(plan_.out).string() : "";
      record.name = point.name;
      std::filesystem::remove_all(path);
      if (plan_.keep)
        std::filesystem::rename(work, path);
      else
        std::filesystem::remove_all(work);
      return record;
    } catch (...) {
      std::error_code ignored;
      std::filesystem::remove_all(work, ignored);
      std::filesystem::remove_all(folder / ("." + work.filename().string() + ".pith-partial"), ignored);
      throw;
    }
  }

  report::Study empty_study() const {
    report::Study study = measurer_.empty_study();
    study.title = plan_.title;
    study.conditions = measurer_.conditions(model_.path);
    return study;
  }

 private:
  const SweepPlan& plan_;
  const SweepModel& model_;
  const Model source_;
  const Measurer measurer_;
  const std::string stamp_;
};

class Sweeper {
 public:
  Sweeper(const SweepPlan& plan, const SweepOptions& options, const std::function<void(const SweepStep&)>& seen,
          Progress& progress)
      : plan_(plan), options_(options), seen_(seen), progress_(progress), journal_(plan.out, options.measure) {}

  SweepResult run() {
    for (const SweepModel& model : plan_.models) {
      const ModelSweep part(plan_, model);
      report::Study study = part.empty_study();
      study.base = base_of(part, model);
      if (study.base)
        for (const SweepPoint& point : plan_.points) add(part, model, point, study);
      if (study.base) result_.studies.push_back(std::move(study));
    }
    progress_.end();
    if (result_.studies.empty())
      throw Error(Blame::input, (plan_.out / "journal.jsonl").string(), "expected measurements, there are none yet",
                  "without --report they are made");
    return std::move(result_);
  }

 private:
  std::size_t total() const { return plan_.models.size() * plan_.points.size(); }

  std::string words(const std::string& point) const {
    std::string text = fmt::format("{} of {}", number_, total());
    if (result_.measured > 0) {
      const double each = spent_ / double(result_.measured);
      text += fmt::format(", about {:.0f} min left", std::ceil(each * double(total() - number_ + 1) / 60));
    }
    return text + ", " + point;
  }

  std::optional<ModelRecord> base_of(const ModelSweep& part, const SweepModel& model) {
    const SweepEntry* known = journal_.find(part.base_key());
    if (!known && !options_.measure) return {};
    if (!known) {
      progress_.at(model.name);
      SweepEntry entry{
          .key = part.base_key(), .name = model.name, .record = part.measured_base(progress_), .error = {}};
      journal_.add(std::move(entry));
      known = journal_.find(part.base_key());
    }
    ModelRecord record = known->record.value();
    record.name = model.name;
    return record;
  }

  void add(const ModelSweep& part, const SweepModel& model, const SweepPoint& point, report::Study& study) {
    ++number_;
    SweepStep step{.number = number_, .total = total(), .model = model.name, .point = point.name, .error = {}};
    std::string yaml;
    std::optional<ModelRecord> record;
    try {
      const ModelSweep::Job job = part.job_of(point);
      yaml = shown_recipe(job.recipe);
      const SweepEntry* entry = journal_.find(job.key);
      step.known = entry && (entry->record || !options_.retry || !options_.measure);
      if (!step.known && !options_.measure) {
        ++result_.left;
        study.missing.push_back({point.name, "not measured yet", yaml});
        return;
      }
      if (!step.known) entry = measured(part, job, point, step);
      if (entry->record) {
        record = entry->record;
        record->name = point.name;
        record->recipe = yaml;
      }
      step.error = entry->error;
    } catch (const Error& e) {  // before anything could be made
      step.error = e.what();
    }
    finish(step, std::move(record), yaml, study);
  }

  const SweepEntry* measured(const ModelSweep& part, const ModelSweep::Job& job, const SweepPoint& point,
                             SweepStep& step) {
    const Stopwatch watch;
    SweepEntry entry{.key = job.key, .name = point.name, .record = {}, .error = {}};
    progress_.at(words(point.name));
    try {
      entry.record = part.measured(job, point, progress_);
    } catch (const std::exception& e) {
      entry.error = e.what();
    }
    step.seconds = watch.seconds();
    spent_ += step.seconds;
    ++result_.measured;
    journal_.add(std::move(entry));
    return journal_.find(job.key);
  }

  void finish(SweepStep& step, std::optional<ModelRecord> record, const std::string& yaml, report::Study& study) {
    result_.known += step.known;
    if (record) {
      study.models.push_back(std::move(*record));
      step.record = &study.models.back();
    } else {
      ++result_.failed;
      study.missing.push_back({step.point, step.error, yaml});
    }
    progress_.end();
    seen_(step);
  }

  const SweepPlan& plan_;
  const SweepOptions& options_;
  const std::function<void(const SweepStep&)>& seen_;
  PointProgress progress_;
  SweepJournal journal_;
  SweepResult result_;
  std::size_t number_ = 0;
  double spent_ = 0;  // seconds on what this run measured
};

}  // namespace

SweepResult sweep(const SweepPlan& plan, const SweepOptions& options, const std::function<void(const SweepStep&)>& seen,
                  Progress& progress) {
  return Sweeper(plan, options, seen, progress).run();
}

std::vector<PlannedPoint> sweep_points(const SweepPlan& plan) {
  const SweepJournal journal(plan.out, false);
  std::vector<PlannedPoint> points;
  for (const SweepModel& model : plan.models) {
    const ModelSweep part(plan, model);
    for (const SweepPoint& point : plan.points) {
      const ModelSweep::Job job = part.job_of(point);
      PlannedPoint planned{model.name, point.name, job.recipe.container};
      if (const SweepEntry* entry = journal.find(job.key))
        planned.state = entry->record ? PlannedPoint::State::measured : PlannedPoint::State::failed;
      points.push_back(std::move(planned));
    }
  }
  return points;
}

}  // namespace pith
