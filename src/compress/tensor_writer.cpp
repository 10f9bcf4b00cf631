#include "compress/tensor_writer.h"

#include <cstdio>

#include "compress/fold/scale_block.h"
#include "compress/policy.h"
#include "compress/turned.h"
#include "core/error.h"

namespace pith {

namespace {

constexpr std::chrono::seconds kRecordEvery(2);  // a record waits for the disk; a killed run loses so much work
constexpr const char* kScratch = "calibrated-rows";

// The journal's note on a finished group, exact.
std::string note_of(std::span<const Written> written) {
  std::string note;
  for (const Written& w : written)
    note += fmt::format("{:a} {:a} {} {} {}\n", w.sums.source, w.sums.error, w.sums.zeros, w.tokens, w.note);
  return note;
}

// Empty when there is no such note.
std::vector<Written> written_of(const std::string* note, std::size_t count) {
  std::vector<Written> out(note ? count : 0);
  std::string_view rest = note ? *note : std::string_view();
  for (Written& w : out) {
    const std::size_t end = rest.find('\n');
    if (end == rest.npos) return {};
    const std::string line(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    int used = 0;
    long long zeros = 0, tokens = 0;
    if (std::sscanf(line.c_str(), "%la %la %lld %lld %n", &w.sums.source, &w.sums.error, &zeros, &tokens, &used) != 4)
      return {};
    w.sums.zeros = dim(zeros);
    w.tokens = dim(tokens);
    w.note = line.substr(std::size_t(used));
  }
  return out;
}

dim encoded_bytes(const Prepared& p, const ExportTensor& t) {
  const TensorPlan& plan = p.plan_for(t);
  return plan.rows * row_bytes(*t.format, plan.cols);
}

// What is kept of a tensor for a resumed run: its rows, its outliers' columns, their values.
struct Kept {
  dim rows, columns, values;
  dim total() const { return rows + columns + values; }
};
Kept kept_bytes(const Prepared& p, const ExportTensor& t) {
  const TensorPlan& plan = p.plan_for(t);
  return {encoded_bytes(p, t), outlier_index_bytes(t.outliers, plan.rows, plan.cols),
          outlier_value_bytes(t.outliers, plan.rows)};
}

}  // namespace

dim scratch_bytes(const Prepared& p) {
  dim bytes = 0;
  for (const ExportTensor& t : p.plan.tensors)
    if (p.plan_for(t).layer >= 0) bytes += kept_bytes(p, t).total();
  return bytes;
}

TensorWriter::TensorWriter(const WriterCall& call)
    : model_(call.model),
      recipe_(call.recipe),
      prepared_(call.prepared),
      stage_(call.stage),
      hash_(call.hash),
      calibrator_(call.calibrator),
      fisher_(call.fisher),
      progress_(call.progress) {
  dim at = 0;
  for (const ExportTensor& t : prepared_.plan.tensors) {
    scratch_at_.push_back(at);
    if (prepared_.plan_for(t).layer >= 0) at += kept_bytes(prepared_, t).total();
  }
  if (calibrator_) stage_.add_scratch(kScratch, at);
  // What is before all slots of the tensors to come.
  std::pair<std::size_t, dim> first(prepared_.plan.files.size(), 0);
  settled_.resize(prepared_.plan.tensors.size());
  for (std::size_t i = settled_.size(); i-- > 0;) {
    settled_[i] = first;
    prepared_.plan.tensors[i].for_slots([&](const Slot& slot) {
      first = std::min(first, {slot.file, slot.offset_bytes});
    });
  }
}

// Of one block, or a part of it when it is large.
std::vector<TensorWriter::Group> TensorWriter::groups_of(const Prepared& p) {
  constexpr dim kGroupBytes = dim(32) << 20;
  std::vector<Group> groups;
  dim bytes = 0;
  for (std::size_t i = 0; i < p.plan.tensors.size(); ++i) {
    const TensorPlan& plan = p.plan_for(p.plan.tensors[i]);
    if (groups.empty() || plan.layer != groups.back().layer || bytes >= kGroupBytes) {
      groups.push_back({i, i, plan.layer});
      bytes = 0;
    }
    groups.back().end = i + 1;
    bytes += plan.bytes_after;
  }
  return groups;
}

std::vector<Written> TensorWriter::write_all() {
  const std::vector<Group> groups = groups_of(prepared_);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    write(groups[i]);
    hash_.settle(settled_[groups[i].end - 1].first, settled_[groups[i].end - 1].second);
    const bool last = i + 1 == groups.size() || groups[i + 1].layer != groups[i].layer;
    if (last) leave(groups[i].layer);
  }
  return std::move(written_);
}

void TensorWriter::write(const Group& group) {
  const std::string piece = fmt::format("tensors {} to {}", group.begin, group.end);
  if (take_recorded(group, piece)) return;
  enter(group.layer);
  for (std::size_t i = group.begin; i < group.end; ++i) written_.push_back(write(i));
  finished_.push_back({piece, note_of(std::span(written_).subspan(group.begin))});
  if (std::chrono::steady_clock::now() - last_record_ > kRecordEvery) record();
  // Again: reading a tensor maps a few pages of its neighbours, too.
  for (std::size_t i = group.begin; i < group.end; ++i)
    model_.release(model_.tensors()[prepared_.plan.tensors[i].source]);
}

// From the journal when an earlier run has written the group.
bool TensorWriter::take_recorded(const Group& group, const std::string& piece) {
  std::vector<Written> known = written_of(stage_.recorded(piece), group.end - group.begin);
  if (known.empty()) return false;
  for (std::size_t i = group.begin; i < group.end; ++i) {
    const ExportTensor& t = prepared_.plan.tensors[i];
    const TensorPlan& plan = prepared_.plan_for(t);
    if (calibrator_ && group.layer >= 0) {
      const Kept kept = kept_bytes(prepared_, t);
      encoded_.reserve(kept.total());
      const std::span all(encoded_.data(), std::size_t(kept.total()));
      stage_.read(kScratch, scratch_at_[i], all);
      calibrator_->take(t, 0, all.first(std::size_t(kept.rows)));
      calibrator_->take_outliers(t, 0, all.subspan(std::size_t(kept.rows), std::size_t(kept.columns)),
                                 all.last(std::size_t(kept.values)));
      if (!t.slots.empty() && t.slots.back().act_scale) {
        float scale = 0;
        stage_.read(file_of(t.slots.back()), t.slots.back().offset_bytes, std::as_writable_bytes(std::span(&scale, 1)));
        calibrator_->take_act_scale(t.source, scale);
      }
    }
    progress_.advance(plan.rows * plan.cols, plan.name);
  }
  std::move(known.begin(), known.end(), std::back_inserter(written_));
  return true;
}

void TensorWriter::record() {
  stage_.record(finished_);
  finished_.clear();
  last_record_ = std::chrono::steady_clock::now();
}

void TensorWriter::enter(dim layer) {
  if (!calibrator_ || gathered_ == layer) return;
  states_.clear();
  squares_.clear();
  scales_.clear();
  finished_block_ = {};
  calibrator_->gather(layer, progress_);
  if (layer >= 0 && !prepared_.scalers.empty()) scales_ = scale_block(model_, prepared_, layer, *calibrator_);
  gathered_ = layer;
  input_stage_ = 0;
  if (layer >= 0 && !prepared_.finishers.empty()) finish(layer);
}

// What the matrices of a later stage read is what the compressed ones before them give.
void TensorWriter::enter_stage(const ExportTensor& t) {
  const ModelTensor& tensor = model_.tensors()[t.source];
  if (!calibrator_ || !recipe_.true_sequential || tensor.layer < 0 || input_stage(tensor) <= input_stage_) return;
  input_stage_ = input_stage(tensor);
  states_.clear();
  squares_.clear();
  calibrator_->gather_stage(tensor.layer, input_stage_, progress_);
}

void TensorWriter::finish(dim layer) {
  finished_block_ = finish_block(
      model_, prepared_, layer, *calibrator_, scales_, [this](std::size_t index) { round_whole(index); }, progress_);
}

// As the other steps round it, before it is finished; for the calibrator alone.
void TensorWriter::round_whole(std::size_t index) {
  const ExportTensor& t = prepared_.plan.tensors[index];
  enter_stage(t);
  const SourceRows source(model_, t, recipe_.dither, prepared_.adapter_or_null(), scales_of(t));
  const std::unique_ptr<LayerState> own = matrix_state(t, source);
  const EncodeTask task = task_of(t, source, own.get());
  const dim rows = source.rows(), panel = TensorEncoder::panel_rows(task), bytes = row_bytes(*t.format, source.cols());
  TensorSums sums;
  for (dim begin = 0; begin < rows; begin += panel) {
    const dim end = std::min(rows, begin + panel);
    encoded_.reserve((end - begin) * bytes);
    encoder_.encode(task, begin, end, encoded_.data(), sums);
    calibrator_->take(t, begin, std::span(encoded_.data(), std::size_t((end - begin) * bytes)));
    if (t.outliers.per_row == 0) continue;
    const auto [columns, values] = encoder_.outliers();
    calibrator_->take_outliers(t, begin, columns, values);
  }
}

// own: of the matrix, or null.
EncodeTask TensorWriter::task_of(const ExportTensor& t, const SourceRows& source, const LayerState* own) {
  const MethodStep& step = prepared_.rounder_of(source.tensor());
  return {.source = source,
          .format = *t.format,
          .method = *step.method,
          .options = step.options,
          .importance = importance_of(t),
          .state = own ? own : state_of(t),
          .outliers = t.outliers,
          .fisher = fisher_ && fisher_->has(t.source) ? fisher_ : nullptr};
}

void TensorWriter::leave(dim layer) {
  if (!calibrator_ || layer < 0) return;
  calibrator_->advance(layer, progress_);
  if (!finished_.empty()) record();  // a block took long enough to be worth a wait for the disk
}

const LayerState* TensorWriter::state_of(const ExportTensor& t) {
  const MethodStep& step = prepared_.rounder_of(model_.tensors()[t.source]);
  if (!calibrator_ || !step.method->prepare || (is_dense(*t.format) && !step.method->kept)) return nullptr;
  const InputStats* stats = calibrator_->find(model_.tensors()[t.source]);
  if (!stats) return nullptr;
  auto& state = states_[{stats, t.format, &step}];
  if (!state)
    state = t.turn ? step.method->prepare(turned_stats(*stats, *t.turn), *t.format, step.options)
                   : step.method->prepare(*stats, *t.format, step.options);
  return state.get();
}

// What the method makes of one matrix and its inputs; null where it asks for no such thing.
std::unique_ptr<LayerState> TensorWriter::matrix_state(const ExportTensor& t, const SourceRows& source) {
  const MethodStep& step = prepared_.rounder_of(source.tensor());
  if (!step.method->prepare_matrix) return nullptr;
  const bool prunes = step.method->kept;
  if (!prunes && (!calibrator_ || is_dense(*t.format) || source.exact())) return nullptr;
  const InputStats* stats = calibrator_ ? calibrator_->find(model_.tensors()[t.source]) : nullptr;
  if (!stats && !prunes) return nullptr;
  ScaledMatrix matrix{
      source.rows(),     source.cols(), t.format, stats, [&](dim row, float* to) { source.load(row, row + 1, to); },
      t.outliers.per_row};
  matrix.role = source.tensor().role;
  matrix.shared = prunes ? state_of(t) : nullptr;
  return step.method->prepare_matrix(matrix, step.options);
}

// Importance of inputs from a file, which were measured before they were divided.
const float* TensorWriter::as_scaled(const float* given, const TensorScales* scales) {
  if (!scales || scales->cols.empty()) return given;
  std::vector<float>& squares = squares_.emplace_back(given, given + scales->cols.size());
  for (std::size_t c = 0; c < squares.size(); ++c) squares[c] /= scales->cols[c] * scales->cols[c];
  return squares.data();
}

const float* TensorWriter::importance_of(const ExportTensor& t) {
  if (t.turn) return nullptr;  // no input of the turned matrix is one of the model's
  if (const float* given = prepared_.importance.find(t.source)) return as_scaled(given, scales_of(t));
  const InputStats* stats =
      calibrator_ && !is_dense(*t.format) ? calibrator_->find(model_.tensors()[t.source]) : nullptr;
  return stats ? squares_.emplace_back(stats->mean_squares()).data() : nullptr;
}

const TensorScales* TensorWriter::scales_of(const ExportTensor& t) const {
  const auto at = scales_.find(t.source);
  return at == scales_.end() ? nullptr : &at->second;
}

Written TensorWriter::write(std::size_t index) {
  const ExportTensor& t = prepared_.plan.tensors[index];
  enter_stage(t);
  const SourceRows source(model_, t, recipe_.dither, prepared_.adapter_or_null(), scales_of(t));
  const std::unique_ptr<LayerState> own = matrix_state(t, source);
  EncodeTask task = task_of(t, source, own.get());
  const auto finished = finished_block_.rows.find(index);
  if (finished != finished_block_.rows.end()) task.finished = finished->second.data();
  Written out;
  out.sums = written_by_rows(t, source.rows(), source.cols()) ? write_panels(t, task) : write_whole(t, task);
  if (!t.slots.empty() && t.slots.back().act_scale) write_act_scale(t);
  if (task.state) out.note = task.state->note;
  if (task.finished && finished == finished_block_.rows.begin())  // once for all of them
    out.note += (out.note.empty() ? "" : "; ") + finished_block_.note;
  if (calibrator_ && is_linear(source.tensor().role) && !source.tensor().vector) {
    const InputStats* stats = calibrator_->find(source.tensor());
    out.tokens = stats ? stats->tokens : 0;
  }
  return out;
}

// each(begin, end): the panels of a tensor in order
template <class Each>
void TensorWriter::for_panels(const EncodeTask& task, const Each& each) {
  const dim rows = task.source.rows(), panel = TensorEncoder::panel_rows(task);
  for (dim begin = 0; begin < rows; begin += panel) {
    const dim end = std::min(rows, begin + panel);
    each(begin, end);
    progress_.advance((end - begin) * task.source.cols(), task.source.tensor().name);
  }
}

// What later blocks, and a resumed run, need of a finished block.
void TensorWriter::keep(const ExportTensor& t, dim begin, std::span<const std::byte> rows) {
  if (!calibrator_ || prepared_.plan_for(t).layer < 0) return;
  calibrator_->take(t, begin, rows);
  const std::size_t index = std::size_t(&t - prepared_.plan.tensors.data());
  stage_.write(kScratch, scratch_at_[index] + begin * row_bytes(*t.format, prepared_.plan_for(t).cols), rows);
}

// The outliers of the rows that were encoded last; `take` came before.
void TensorWriter::write_outliers(const ExportTensor& t, dim begin) {
  const OutlierShape& shape = t.outliers;
  if (shape.per_row == 0) return;
  const TensorPlan& plan = prepared_.plan_for(t);
  const auto [columns, values] = encoder_.outliers();
  const dim columns_at = shape.whole_columns ? 0 : begin * shape.per_row * index_bytes(plan.cols);
  const dim values_at = outlier_value_bytes(shape, begin);
  stage_.write(file_of(*t.outlier_columns), t.outlier_columns->offset_bytes + columns_at, columns);
  stage_.write(file_of(*t.outlier_values), t.outlier_values->offset_bytes + values_at, values);
  if (!calibrator_ || plan.layer < 0) return;
  calibrator_->take_outliers(t, begin, columns, values);
  const Kept kept = kept_bytes(prepared_, t);
  const dim base = scratch_at_[std::size_t(&t - prepared_.plan.tensors.data())] + kept.rows;
  stage_.write(kScratch, base + columns_at, columns);
  stage_.write(kScratch, base + kept.columns + values_at, values);
}

void TensorWriter::write_act_scale(const ExportTensor& t) {
  const ModelTensor& source = model_.tensors()[t.source];
  Block own = model_.blocks()[std::size_t(source.layer)];
  const float scale =
      calibrator_ ? calibrator_->act_scale(source) : find_linear(own, source.role, source.expert)->act_scale;
  stage_.write(file_of(t.slots.back()), t.slots.back().offset_bytes, std::as_bytes(std::span(&scale, 1)));
  if (calibrator_) calibrator_->take_act_scale(t.source, scale);
}

TensorSums TensorWriter::write_panels(const ExportTensor& t, const EncodeTask& task) {
  const dim bytes = row_bytes(task.format, task.source.cols());
  TensorSums sums;
  for_panels(task, [&](dim begin, dim end) {
    encoded_.reserve((end - begin) * bytes);
    encoder_.encode(task, begin, end, encoded_.data(), sums);
    const std::span rows(encoded_.data(), std::size_t((end - begin) * bytes));
    stage_.write(file_of(t.slots[0]), t.slots[0].offset_bytes + begin * bytes, rows);
    keep(t, begin, rows);
    write_outliers(t, begin);
  });
  return sums;
}

TensorSums TensorWriter::write_whole(const ExportTensor& t, const EncodeTask& task) {
  PITH_CHECK(t.outliers.per_row == 0);  // containers that hold outliers store rows as they are encoded
  const dim rows = task.source.rows(), cols = task.source.cols(), bytes = row_bytes(task.format, cols);
  encoded_.reserve(rows * bytes);
  TensorSums sums;
  for_panels(task,
             [&](dim begin, dim end) { encoder_.encode(task, begin, end, encoded_.data() + begin * bytes, sums); });
  const std::span whole(encoded_.data(), std::size_t(rows * bytes));
  keep(t, 0, whole);
  lay_out(t, rows, cols, whole, [&](const Slot& slot, std::span<const std::byte> out) {
    stage_.write(file_of(slot), slot.offset_bytes, out);
  });
  return sums;
}

}  // namespace pith
