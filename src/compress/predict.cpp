#include "compress/predict.h"

#include <algorithm>
#include <chrono>

#include "compress/reconstruct/finish_block.h"
#include "core/memory.h"
#include "ops/linear.h"

namespace pith {

namespace {

constexpr dim kPruningBytes = 12;  // a value, while its matrix is pruned as a whole
constexpr dim kTrialValues = dim(1) << 18;
constexpr double kBytesPerSecond = 1e9;        // of hashing, copying and reading back: a guess, not in the trial
constexpr dim kOverheadBytes = dim(48) << 20;  // the output opened for its check, threads' scratch, allocator

EncodeTask task_for(const SourceRows& rows, const ExportTensor& t, const Prepared& p) {
  const MethodStep& step = p.rounder_of(rows.tensor());
  return {rows, *t.format, *step.method, step.options, p.importance.find(t.source), nullptr, t.outliers};
}

// Seconds a value takes on the way from one type to another, by encoding some rows of the tensor.
double trial(const EncodeTask& task) {
  using Clock = std::chrono::steady_clock;
  const dim cols = std::max<dim>(1, task.source.cols());
  const dim rows = std::clamp<dim>(kTrialValues / cols, 1, TensorEncoder::panel_rows(task));
  Buffer out(rows * row_bytes(task.format, cols));
  TensorEncoder encoder;
  TensorSums ignored;
  const auto start = Clock::now();
  encoder.encode(task, 0, rows, out.data(), ignored);
  return std::chrono::duration<double>(Clock::now() - start).count() / double(rows * cols);
}

// All tensors that go from one type to another, and the largest of them for a trial.
struct Path {
  const Format *from, *to;
  const ExportTensor* largest;
  dim largest_values, all_values;
};

void add_to_paths(const ExportTensor& t, const SourceRows& source, std::vector<Path>& paths) {
  const Format* from = source.tensor().weight.format;
  const dim values = source.rows() * source.cols();
  auto path = std::find_if(paths.begin(), paths.end(),
                           [&](const Path& known) { return known.from == from && known.to == t.format; });
  if (path == paths.end()) path = paths.insert(path, {from, t.format, nullptr, 0, 0});
  if (values > path->largest_values) {
    path->largest = &t;
    path->largest_values = values;
  }
  path->all_values += values;
}

// Buffers and the mapped pages in use while a tensor is encoded.
dim tensor_bytes(const ExportTensor& t, const EncodeTask& task, dim source_bytes) {
  const dim rows = task.source.rows(), cols = task.source.cols(), panel = TensorEncoder::panel_rows(task);
  const dim row_out_bytes = row_bytes(*t.format, cols);
  // laid out as a whole: the encoded rows and their new arrangement
  const dim encoded_bytes = written_by_rows(t, rows, cols) ? panel * row_out_bytes : 2 * rows * row_out_bytes;
  const bool stays_mapped = t.transpose || !t.rows_from.empty();  // until its last panel
  const dim mapped_bytes = stays_mapped ? source_bytes : source_bytes / std::max<dim>(1, rows) * panel;
  return TensorEncoder::working_bytes(task) + encoded_bytes + mapped_bytes;
}

// Seconds of a product of (256, 1024) with (1024, 1024), per multiplication.
double seconds_of_a_product() {
  constexpr dim kRows = 256, kWidth = 1024;
  std::vector<float> x(std::size_t(kRows * kWidth), 1.0f), y(x.size()), w(std::size_t(kWidth * kWidth), 1.0f);
  Encoded encoded;
  encoded.format = &f32_format();
  encoded.rows = encoded.cols = kWidth;
  encoded.data = reinterpret_cast<const std::byte*>(w.data());
  const Weight weight = std::move(encoded);
  LinearWorkspace workspace;
  const auto start = std::chrono::steady_clock::now();
  linear({&weight, nullptr, x.data(), kRows, y.data(), kWidth}, workspace);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / (kRows * kWidth * kWidth);
}

// Running the blocks once as they are and once compressed, and the second moments of what they read.
double calibration_seconds(const Model& model, const Prepared& p, const Recipe& recipe) {
  const CalibrationChoice& choice = *p.calibration;
  double products = 0, moments = 0;
  for (const ModelTensor& t : model.tensors()) {
    if (!is_linear_matrix(t)) continue;
    products += double(t.weight.rows) * double(t.weight.cols);
    if (t.role == shared_input(t.role)) moments += 0.5 * double(t.weight.cols) * double(t.weight.cols);
  }
  const double passes = (recipe.compressed_prefix ? 2 : 1) + (recipe.true_sequential ? 3 : 0);
  const double fisher_passes = p.fisher.empty() ? 0 : 4;  // forward, again with a tape, and back to inputs and weights
  const double all = (passes + fisher_passes) * products + (needs_moments(recipe) ? moments : 0);
  return all * double(choice.samples * choice.length) * seconds_of_a_product();
}

}  // namespace

void predict(const Model& model, const Recipe& recipe, Prepared& p) {
  std::vector<Path> paths;
  dim working_bytes = 0;
  for (const ExportTensor& t : p.plan.tensors) {
    const SourceRows source(model, t, recipe.dither, p.adapter_or_null());
    add_to_paths(t, source, paths);
    const TensorPlan& plan = p.plan_for(t);
    dim bytes = tensor_bytes(t, task_for(source, t, p), plan.bytes_before);
    if (plan.kept >= 0) bytes += kPruningBytes * plan.rows * plan.cols;
    working_bytes = std::max(working_bytes, bytes);
  }
  p.preflight.peak_ram_bytes = current_ram_bytes() + working_bytes + kOverheadBytes;
  double seconds = double(2 * model.file_bytes() + 2 * p.preflight.output_bytes) / kBytesPerSecond;
  for (const Path& path : paths) {
    const SourceRows source(model, *path.largest, recipe.dither, p.adapter_or_null());
    seconds += trial(task_for(source, *path.largest, p)) * double(path.all_values);
  }
  p.preflight.seconds = seconds + (p.calibration ? calibration_seconds(model, p, recipe) : 0);
  if (p.calibration)
    p.preflight.peak_ram_bytes +=
        Calibrator::working_bytes(model, *p.calibration, calibrator_options(p, recipe, {}, {})) +
        finishing_bytes(model, p) +
        (p.fisher.empty() ? 0 : FisherDiagonal::working_bytes(model, p.fisher, p.calibration->length));
}

}  // namespace pith
