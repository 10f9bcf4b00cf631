#include "compress/calibrate/calibrator.h"

#include <algorithm>
#include <cstring>

#include "compress/calibrate/block_norms.h"
#include "compress/policy.h"
#include "core/error.h"
#include "formats/format.h"
#include "model/shared.h"

namespace pith {

namespace {

std::vector<dim> lengths_of(const CalibrationTokens& tokens) {
  std::vector<dim> out;
  for (const auto& s : tokens.sequences) out.push_back(dim(s.size()));
  return out;
}

Sparse owned_outliers(const OutlierShape& shape, dim rows, dim cols) {
  Sparse s = listed_view(shape, rows, cols, nullptr, nullptr);
  s.owned = Buffer(outlier_index_bytes(shape, rows, cols));
  s.values.owned = Buffer(outlier_value_bytes(shape, rows));
  s.positions = s.owned.data();
  s.values.data = s.values.owned.data();
  return s;
}

// Rows [begin, ...) of the target into their places among the source's.
void put_rows(const ExportTensor& t, dim begin, dim bytes, std::span<const std::byte> rows, std::byte* out) {
  for (dim r = 0; r < dim(rows.size()) / bytes; ++r) {
    const dim target = begin + r, source = t.rows_from.empty() ? target : t.rows_from[std::size_t(target)];
    std::memcpy(out + source * bytes, rows.data() + r * bytes, std::size_t(bytes));
  }
}

Network with_blocks(const Model& model, std::span<const Block> blocks) {
  Network network = Network::of(model);
  network.blocks = blocks;
  return network;
}

}  // namespace

Calibrator::Calibrator(const Model& model, CalibrationTokens tokens, const CalibratorOptions& options)
    : model_(model),
      options_(options),
      group_(options.group ? *options.group : one_process()),
      length_(lengths_of(tokens)),
      notes_(std::move(tokens.notes)),
      token_count_(tokens.count()),
      known_(model.blocks().begin(), model.blocks().end()),
      blocks_(known_),
      forward_(with_blocks(model, blocks_), *std::max_element(length_.begin(), length_.end())),
      stats_(options.with_moments),
      piece_(options.with_moments),
      hidden_(own_values(model.config().hidden), options.max_ram_bytes, options.scratch_folder) {
  if (options.with_targets)
    originals_.emplace(own_values(model.config().hidden), options.max_ram_bytes, options.scratch_folder);
  sequence_.reserve(*std::max_element(length_.begin(), length_.end()) * model.config().hidden * dim(sizeof(float)));
  for (std::size_t i = 0; i < tokens.sequences.size(); ++i) {
    if (!is_own(i)) continue;
    forward_.embed(tokens.sequences[i], sequence_.as<float>());
    hidden_.store(i, sequence_.as<float>());
    if (originals_) originals_->store(i, sequence_.as<float>());
  }
}

// The text's pieces are the same for any number of processes: what a piece shows is added up from zero, and pieces are
// added in their order, so that sums do not depend on who ran them.
static constexpr std::size_t kMostPieces = 32;

std::size_t Calibrator::pieces() const { return std::min(length_.size(), kMostPieces); }
std::size_t Calibrator::begin_of(std::size_t piece) const { return length_.size() * piece / pieces(); }

int Calibrator::owner_of(std::size_t sequence) const {
  std::size_t piece = 0;
  while (begin_of(piece + 1) <= sequence) ++piece;
  return int(piece % std::size_t(group_.size()));
}

std::vector<dim> Calibrator::own_values(dim hidden) const {
  std::vector<dim> values(length_.size(), 0);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (is_own(i)) values[i] = length_[i] * hidden;
  return values;
}

void Calibrator::load(const HiddenStates& states, std::size_t sequence, float* to) const {
  const int owner = owner_of(sequence);
  if (owner == group_.rank()) states.load(sequence, to);
  const auto values = std::size_t(length_[sequence] * model_.config().hidden);
  group_.broadcast(std::as_writable_bytes(std::span(to, values)), owner);
}

template <class Each>
void Calibrator::for_sequences(std::size_t piece, std::string_view doing, Progress& progress, const Each& each) {
  for (std::size_t i = begin_of(piece); i < begin_of(piece + 1); ++i) {
    hidden_.load(i, sequence_.as<float>());
    each(i, sequence_.as<float>(), length_[i]);
    progress.advance(0, doing);
  }
}

template <class Each>
void Calibrator::add_up(dim layer, std::string_view doing, Progress& progress, const Each& each) {
  stats_.clear();
  piece_.clear();
  const auto ranks = std::size_t(group_.size()), rank = std::size_t(group_.rank());
  for (std::size_t first = 0; first < pieces(); first += ranks) {
    piece_.empty();
    if (first + rank < pieces()) for_sequences(first + rank, doing, progress, each);
    stats_.add_in_order(piece_, group_, int(std::min(ranks, pieces() - first)), layer, model_.config().experts);
  }
  piece_.clear();
}

const InputStats* Calibrator::find(const ModelTensor& t) const {
  if (t.part == Part::difference_b) return nullptr;
  const bool is_head = t.role == Role::embed && model_.config().tied_embeddings;
  return stats_.find(is_head ? Role::lm_head : t.role, t.layer, t.expert, model_.inner_of(t) != nullptr);
}

void Calibrator::divide_inputs(const ModelTensor& t, std::span<const float> factors) {
  InputStats* stats = stats_.find(t.role, t.layer, t.expert, model_.inner_of(t) != nullptr);
  PITH_CHECK(stats && dim(factors.size()) == stats->cols);
  stats->divide(factors);
}

void Calibrator::gather(dim layer, Progress& progress) {
  const std::string doing =
      layer < 0 ? std::string("calibrating the head") : fmt::format("calibrating block {}", layer);
  add_up(layer, doing, progress, [&](std::size_t i, float* hidden, dim length) {
    if (layer < 0) return forward_.show_head(hidden, length, piece_);
    forward_.run(layer, hidden, length, &piece_);
    if (!options_.compressed_prefix) hidden_.store(i, hidden);
  });
  if (originals_ && layer >= 0) advance_originals(layer, progress);
}

// The block is still the model's.
void Calibrator::advance_originals(dim layer, Progress& progress) {
  for (std::size_t i = 0; i < length_.size(); ++i) {
    if (!is_own(i)) continue;
    originals_->load(i, sequence_.as<float>());
    forward_.run(layer, sequence_.as<float>(), length_[i]);
    originals_->store(i, sequence_.as<float>());
    progress.advance(0, "running original block");
  }
  originals_after_ = layer;
}

Encoded& Calibrator::compressed(const ExportTensor& t) {
  const auto [at, is_new] = taken_.try_emplace(t.source);
  if (is_new) {
    const Encoded& source = model_.tensors()[t.source].weight;
    Encoded weight;
    weight.format = t.format;
    weight.rows = source.rows;
    weight.cols = source.cols;
    weight.owned = Buffer(weight.rows * row_bytes(*t.format, weight.cols));
    weight.data = weight.owned.data();
    if (t.outliers.per_row == 0) {
      at->second = std::move(weight);
    } else {
      Sum sum;
      sum.parts.emplace_back(std::move(weight));
      sum.parts.emplace_back(owned_outliers(t.outliers, source.rows, source.cols));
      at->second = std::move(sum);
    }
  }
  if (auto* sum = std::get_if<Sum>(&at->second)) return std::get<Encoded>(sum->parts[0]);
  return std::get<Encoded>(at->second);
}

void Calibrator::take_vector(const ExportTensor& t, std::span<const std::byte> row) {
  const dim n = model_.tensors()[t.source].weight.cols;
  std::vector<float> written(static_cast<std::size_t>(n));
  t.format->decode(*t.format, row.data(), n, written.data());
  std::vector<float>& values = taken_vectors_[t.source];
  values.resize(written.size());
  for (std::size_t i = 0; i < written.size(); ++i)
    values[t.rows_from.empty() ? i : std::size_t(t.rows_from[i])] = written[i] - t.add;
}

void Calibrator::put_vector(Block& block, std::size_t source, const float* values) const {
  const ModelTensor& t = model_.tensors()[source];
  const bool is_weight = t.part == Part::weight;
  if (Norm* norm = find_norm(block, t.role, model_.find(Role::attn_norm_2, t.layer)))
    (is_weight ? norm->weight : norm->bias) = values;
  else if (Linear* linear = find_linear(block, t.role, t.expert); linear && !is_weight)
    linear->bias = values;
}

void Calibrator::take(const ExportTensor& t, dim begin, std::span<const std::byte> rows) {
  const ModelTensor& tensor = model_.tensors()[t.source];
  if (options_.compressed_prefix && tensor.layer >= 0 && tensor.vector) return take_vector(t, rows);
  if (is_difference(tensor)) return;  // while this runs it stays as it was
  Block any;
  any.experts.resize(std::size_t(std::max<dim>(0, tensor.expert + 1)));
  if (!options_.compressed_prefix || tensor.layer < 0 || tensor.part == Part::bias || t.transpose ||
      !find_linear(any, tensor.role, tensor.expert))
    return;
  Encoded& weight = compressed(t);
  taken_turns_[t.source] = t.turn;
  const dim bytes = row_bytes(*t.format, weight.cols);
  put_rows(t, begin, bytes, rows, weight.owned.data());
}

void Calibrator::take_outliers(const ExportTensor& t, dim begin, std::span<const std::byte> columns,
                               std::span<const std::byte> values) {
  const auto at = taken_.find(t.source);
  if (at == taken_.end() || t.outliers.per_row == 0) return;
  Sparse& s = std::get<Sparse>(std::get<Sum>(at->second).parts[1]);
  if (s.shared)
    std::memcpy(s.owned.data(), columns.data(), columns.size());
  else
    put_rows(t, begin, t.outliers.per_row * index_bytes(s.cols), columns, s.owned.data());
  put_rows(t, begin, t.outliers.per_row * 2, values, s.values.owned.data());
}

float Calibrator::act_scale(const ModelTensor& t) const {
  const InputStats* stats = find(t);
  float most = 0;
  if (stats) most = *std::max_element(stats->peaks.begin(), stats->peaks.end());
  if (most > 0) return most / options_.activations.plan().top();
  Block own = model_.blocks()[std::size_t(t.layer)];
  const Linear* linear = find_linear(own, t.role, t.expert);
  return linear && linear->act_scale > 0 ? linear->act_scale : 1;  // its input was always 0
}

// Of the part that is not kept apart.
static const Format& format_of(const Weight& weight) {
  const auto* sum = std::get_if<Sum>(&weight);
  return *(sum ? std::get<Encoded>(sum->parts[0]) : std::get<Encoded>(weight)).format;
}

void Calibrator::put_matrix(Linear& linear, std::size_t source, const Weight& weight) const {
  linear.weight = &weight;
  linear.turn = taken_turns_.at(source).get();
  const bool rounded = is_linear(model_.tensors()[source].role) && !is_dense(format_of(weight));
  linear.act = rounded && options_.activations.plan().on() ? &options_.activations.plan() : nullptr;
  if (linear.act && linear.act->fixed) linear.act_scale = taken_act_scales_.at(source);
}

Block& Calibrator::put_taken(dim layer) {
  Block& block = blocks_[std::size_t(layer)];
  for (const auto& [source, weight] : taken_) {
    const ModelTensor& t = model_.tensors()[source];
    PITH_CHECK(t.layer == layer);
    Linear& linear = *find_linear(block, t.role, t.expert);
    if (t.part == Part::inner) {
      replace_inner(block, linear.inner, &weight);
      continue;
    }
    put_matrix(linear, source, weight);
  }
  for (const auto& [source, values] : taken_vectors_) put_vector(block, source, values.data());
  return block;
}

void Calibrator::gather_stage(dim layer, int stage, Progress& progress) {
  PITH_CHECK(options_.compressed_prefix);
  piece_.keep_only(stage);
  Block& block = put_taken(layer);
  add_up(layer, fmt::format("calibrating block {} again", layer), progress,
         [&](std::size_t, float* hidden, dim length) { forward_.run(layer, hidden, length, &piece_); });
  block = known_[std::size_t(layer)];
  piece_.keep_only(std::nullopt);
}

Network Calibrator::with_taken(dim layer) {
  PITH_CHECK(originals_ && originals_after_ == layer && options_.compressed_prefix);
  put_taken(layer);
  return with_blocks(model_, blocks_);
}

Encoded* Calibrator::taken(std::size_t tensor) {
  const auto at = taken_.find(tensor);
  return at == taken_.end() ? nullptr : std::get_if<Encoded>(&at->second);
}

void Calibrator::give_to_later_blocks(dim layer) {
  for (auto at = taken_.begin(); at != taken_.end();) {
    const auto entry = at++;
    const std::size_t source = entry->first;
    const ModelTensor& t = model_.tensors()[source];
    const std::vector<dim> readers = readers_of(model_, t);
    if (readers.size() < 2) continue;
    const Weight& weight = shared_.insert(taken_.extract(entry)).position->second;
    for (const dim reader : readers) {
      if (reader == layer) continue;
      put_matrix(*find_linear(known_[std::size_t(reader)], t.role, t.expert), source, weight);
      blocks_[std::size_t(reader)] = known_[std::size_t(reader)];
    }
  }
}

void Calibrator::forget_taken(dim layer) {
  give_to_later_blocks(layer);
  blocks_[std::size_t(layer)] = known_[std::size_t(layer)];
  taken_.clear();
  taken_vectors_.clear();
  taken_act_scales_.clear();
  taken_turns_.clear();
}

void Calibrator::advance(dim layer, Progress& progress) {
  if (originals_ && originals_after_ != layer) advance_originals(layer, progress);  // its rows came from a journal
  if (!options_.compressed_prefix) return;
  put_taken(layer);
  for (auto piece = std::size_t(group_.rank()); piece < pieces(); piece += std::size_t(group_.size()))
    for_sequences(piece, fmt::format("running compressed block {}", layer), progress,
                  [&](std::size_t i, float* hidden, dim length) {
                    forward_.run(layer, hidden, length);
                    hidden_.store(i, hidden);
                  });
  forget_taken(layer);
}

dim Calibrator::working_bytes(const Model& model, const CalibrationChoice& choice, const CalibratorOptions& options) {
  const Config& c = model.config();
  const dim hidden = choice.samples * choice.length * c.hidden * dim(sizeof(float));
  const dim widest = std::max({c.hidden, c.ffn, c.heads * c.head_dim});
  dim bytes = (options.with_targets ? 2 : 1) * std::min(hidden, options.max_ram_bytes) +
              BlockForward::working_bytes(c, choice.length);
  if (options.with_moments) {
    const dim narrow = 3 * SecondMoment::bytes(c.hidden);
    bytes += 2 * (narrow + SecondMoment::bytes(c.ffn)) + 3 * widest * widest * dim(sizeof(double));
  }
  return bytes;
}

}  // namespace pith
