#include "compress/pipeline.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <future>
#include <limits>
#include <stop_token>

#include "compress/encode_tensor.h"
#include "compress/fingerprint.h"
#include "compress/memory.h"
#include "compress/prepare.h"
#include "compress/verify.h"
#include "core/error.h"
#include "io/stage.h"

namespace pith {

namespace {

constexpr std::chrono::seconds kRecordEvery(2);  // a record waits for the disk; a killed run loses so much work
constexpr dim kDiskSlackBytes = dim(16) << 20;   // side files, journal, the file system's own records

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

void check_room(const Prepared& p, const std::filesystem::path& target, const RunLimits& limits) {
  dim needed = p.preflight.output_bytes + kDiskSlackBytes;
  for (const SideFile& file : p.plan.side_files) needed += dim(file.text.size());
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

// Tensors that are journalled together, as indices into ExportPlan::tensors: of one block, or a part of it when it
// is large.
struct Group {
  std::size_t begin = 0, end = 0;
};

std::vector<Group> groups_of(const Prepared& p) {
  constexpr dim kGroupBytes = dim(32) << 20;
  std::vector<Group> groups;
  dim bytes = 0, layer = 0;
  for (std::size_t i = 0; i < p.plan.tensors.size(); ++i) {
    const TensorPlan& plan = p.plan_for(p.plan.tensors[i]);
    if (groups.empty() || plan.layer != layer || bytes >= kGroupBytes) {
      groups.push_back({i, i});
      bytes = 0;
    }
    groups.back().end = i + 1;
    bytes += plan.bytes_after;
    layer = plan.layer;
  }
  return groups;
}

// The journal's note on a finished group, exact.
std::string note_of(const std::vector<ErrorSums>& sums) {
  std::string note;
  for (const ErrorSums& s : sums) note += fmt::format("{:a} {:a} ", s.source, s.error);
  return note;
}

// Empty when there is no such note.
std::vector<ErrorSums> sums_of(const std::string* note, std::size_t count) {
  std::vector<ErrorSums> sums(note ? count : 0);
  const char* at = note ? note->c_str() : "";
  for (ErrorSums& s : sums) {
    int used = 0;
    if (std::sscanf(at, "%la %la %n", &s.source, &s.error, &used) != 2) return {};
    at += used;
  }
  return sums;
}

TensorOutcome outcome_of(const TensorPlan& plan, const ErrorSums& sums) {
  const double values = double(std::max<dim>(1, plan.rows * plan.cols));
  TensorOutcome out{.name = plan.name,
                    .role = plan.role,
                    .layer = plan.layer,
                    .format = plan.to,
                    .rmse = std::sqrt(sums.error / values),
                    .relative_error = 0,
                    .sqnr_db = std::numeric_limits<double>::infinity(),
                    .bytes = plan.bytes_after};
  if (sums.error > 0) {
    out.relative_error = std::sqrt(sums.error / sums.source);
    out.sqnr_db = 10 * std::log10(sums.source / sums.error);
  }
  return out;
}

// Writes tensors into the stage; holds the buffers.
class Writer {
 public:
  Writer(const Model& model, const Recipe& recipe, const Prepared& prepared, Stage& stage, Progress& progress)
      : model_(model), recipe_(recipe), prepared_(prepared), stage_(stage), progress_(progress) {}

  // One entry per tensor; from the journal when an earlier run has written the group.
  std::vector<ErrorSums> write(const Group& group) {
    const std::string piece = fmt::format("tensors {} to {}", group.begin, group.end);
    std::vector<ErrorSums> sums = sums_of(stage_.recorded(piece), group.end - group.begin);
    const auto tensors = std::span(prepared_.plan.tensors).subspan(group.begin, group.end - group.begin);
    if (!sums.empty()) {
      for (const ExportTensor& t : tensors) {
        const TensorPlan& plan = prepared_.plan_for(t);
        progress_.advance(plan.rows * plan.cols, plan.name);
      }
      return sums;
    }
    for (const ExportTensor& t : tensors) sums.push_back(write(t));
    finished_.emplace_back(piece, note_of(sums));
    if (std::chrono::steady_clock::now() - last_record_ > kRecordEvery) record();
    // Again: reading a tensor maps a few pages of its neighbours, too.
    for (const ExportTensor& t : tensors) model_.release(model_.tensors()[t.source]);
    return sums;
  }

 private:
  void record() {
    stage_.record(finished_);
    finished_.clear();
    last_record_ = std::chrono::steady_clock::now();
  }

  ErrorSums write(const ExportTensor& t) {
    const SourceRows source(model_, t, recipe_.dither, prepared_.adapter_or_null());
    const EncodeTask task{source, *t.format, *prepared_.method, prepared_.options, prepared_.importance.find(t.source)};
    return written_by_rows(t, source.rows(), source.cols()) ? write_panels(t, task) : write_whole(t, task);
  }

  const std::string& file_of(const Slot& slot) const { return prepared_.plan.files.at(slot.file).name; }

  // each(begin, end): the panels of a tensor in order
  template <class Each>
  void for_panels(const EncodeTask& task, const Each& each) {
    const dim rows = task.source.rows(), panel = TensorEncoder::panel_rows(task);
    for (dim begin = 0; begin < rows; begin += panel) {
      const dim end = std::min(rows, begin + panel);
      each(begin, end);
      progress_.advance((end - begin) * task.source.cols(), task.source.tensor().name);
    }
  }

  ErrorSums write_panels(const ExportTensor& t, const EncodeTask& task) {
    const dim bytes = row_bytes(task.format, task.source.cols());
    ErrorSums sums;
    for_panels(task, [&](dim begin, dim end) {
      encoded_.reserve((end - begin) * bytes);
      encoder_.encode(task, begin, end, encoded_.data(), sums);
      stage_.write(file_of(t.slots[0]), t.slots[0].offset_bytes + begin * bytes,
                   std::span(encoded_.data(), std::size_t((end - begin) * bytes)));
    });
    return sums;
  }

  ErrorSums write_whole(const ExportTensor& t, const EncodeTask& task) {
    const dim rows = task.source.rows(), cols = task.source.cols(), bytes = row_bytes(task.format, cols);
    encoded_.reserve(rows * bytes);
    ErrorSums sums;
    for_panels(task,
               [&](dim begin, dim end) { encoder_.encode(task, begin, end, encoded_.data() + begin * bytes, sums); });
    lay_out(
        t, rows, cols, std::span(encoded_.data(), std::size_t(rows * bytes)),
        [&](const Slot& slot, std::span<const std::byte> out) { stage_.write(file_of(slot), slot.offset_bytes, out); });
    return sums;
  }

  const Model& model_;
  const Recipe& recipe_;
  const Prepared& prepared_;
  Stage& stage_;
  Progress& progress_;
  TensorEncoder encoder_;
  Buffer encoded_;
  std::vector<Stage::Piece> finished_;  // and not recorded yet
  std::chrono::steady_clock::time_point last_record_ = std::chrono::steady_clock::now();
};

dim values_of(const Prepared& prepared) {
  dim values = 0;
  for (const ExportTensor& t : prepared.plan.tensors) values += prepared.plan_for(t).rows * prepared.plan_for(t).cols;
  return values;
}

std::vector<TensorOutcome> write_tensors(const Model& model, const Recipe& recipe, const Prepared& prepared,
                                         Stage& stage, Progress& progress) {
  Writer writer(model, recipe, prepared, stage, progress);
  std::vector<TensorOutcome> outcomes;
  for (const Group& group : groups_of(prepared)) {
    const std::vector<ErrorSums> sums = writer.write(group);
    for (std::size_t i = group.begin; i < group.end; ++i)
      outcomes.push_back(outcome_of(prepared.plan_for(prepared.plan.tensors[i]), sums[i - group.begin]));
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

// Reading back, hashing and waiting for the disk, side by side.
void finish(Stage& stage, const Model& model, const Prepared& prepared, Outcome& outcome) {
  std::vector<std::filesystem::path> files;
  for (const ExportFile& file : prepared.plan.files) {
    files.push_back(stage.folder() / file.name);
    outcome.output_bytes += dim(std::filesystem::file_size(files.back()));
  }
  auto hash = std::async(std::launch::async, [&] { return sha256_of_files(files); });
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

Outcome compress(const Model& model, const Recipe& recipe, Container container, const std::filesystem::path& target,
                 const RunLimits& limits, Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  progress.begin("prepare", 1);
  Prepared prepared = prepare(model, recipe, container, target);
  check_room(prepared, target, limits);
  Outcome outcome;
  SourceHash source_hash(model);

  const ExportPlan& plan = prepared.plan;
  Stage stage(target, container == Container::gguf ? Stage::Kind::file : Stage::Kind::folder,
              fingerprint(model.source_stamp(), recipe, prepared),
              {.resume = limits.resume, .overwrite = limits.overwrite});
  add_files(plan, stage);
  progress.begin("compress", values_of(prepared));
  outcome.tensors = write_tensors(model, recipe, prepared, stage, progress);
  for (const std::size_t i : prepared.in_head) outcome.tensors.push_back(outcome_of(prepared.preflight.tensors[i], {}));
  progress.begin("verify", 1);
  finish(stage, model, prepared, outcome);
  outcome.source_hash = source_hash.get();
  stage.commit();
  progress.end();

  outcome.preflight = std::move(prepared.preflight);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  outcome.peak_ram_bytes = peak_ram_bytes();
  return outcome;
}

}  // namespace pith
