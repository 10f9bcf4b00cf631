#include "train/basis_training.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/error.h"
#include "core/parallel.h"
#include "formats/format.h"
#include "math/cayley.h"
#include "math/matrix_product.h"
#include "math/rotation.h"
#include "ops/dense_product.h"
#include "train/objective.h"
#include "train/optimizer/schedule.h"
#include "train/trainable.h"
#include "train/validation.h"

namespace pith {

namespace {

constexpr dim kMicroTokens = 2048;  // of sequences that are held back, at once

// A matrix in f32, dense or turned.
struct View {
  const float* data;
  dim row, col;  // strides, of which one is 1
};
View dense(const float* data, dim cols) { return {data, cols, 1}; }
View turned(const float* data, dim cols) { return {data, 1, cols}; }

// c (m, n) = or += a (m, k) b (k, n), by strips of one height, whatever the number of threads.
void product(const View& a, const View& b, dim m, dim n, dim k, float* c, dim c_row, bool add = false) {
  constexpr dim kStrip = 96;
  parallel_for((m + kStrip - 1) / kStrip, [&](dim strip) {
    const dim first = strip * kStrip;
    matrix_product({.a = a.data + first * a.row,
                    .a_row = a.row,
                    .a_col = a.col,
                    .b = b.data,
                    .b_row = b.row,
                    .b_col = b.col,
                    .c = c + first * c_row,
                    .c_row = c_row,
                    .m = std::min(kStrip, m - first),
                    .n = n,
                    .k = k,
                    .add = add});
  });
}

// An orthogonal matrix that is learned, and the gradient of the loss by it.
struct Basis {
  dim n;
  CayleyDescent descent;
  std::vector<float> values, gradient;  // (n, n)
  std::vector<double> best;             // (n, n), so far
  explicit Basis(dim size) : n(size), descent(size), gradient(std::size_t(size * size)) { read(); }
  void read() {
    values.assign(descent.matrix().begin(), descent.matrix().end());
    std::fill(gradient.begin(), gradient.end(), 0.0f);
  }
  void step(double rate) {
    descent.step({gradient.begin(), gradient.end()}, rate);
    read();
  }
};

// What a matrix is turned by.
enum class Turn { none, columns, rows, values, outputs };  // values, outputs: also by the basis of the block's heads
Turn turn_of(const ModelTensor& t, bool heads) {
  switch (t.role) {
    case Role::ffn_down:
      return Turn::rows;
    case Role::attn_o:
      return heads ? Turn::outputs : Turn::rows;
    case Role::attn_v:
      return heads ? Turn::values : t.part == Part::bias ? Turn::none : Turn::columns;
    default:
      return t.part == Part::bias ? Turn::none : Turn::columns;
  }
}

class Learner {
 public:
  Learner(const Model& model, std::span<const std::vector<Token>> sequences, const BasisChoice& choice)
      : model_(model),
        config_(model.config()),
        sequences_(sequences.first(sequences.size() - sequences.size() / 8)),
        choice_(choice),
        trainable_(model, {.bf16 = choice.bf16, .activations = choice.inputs}),
        stream_(config_.hidden),
        loss_(cross_entropy_objective(config_.vocab)) {
    for (dim l = 0; choice.start.heads && l < config_.layers; ++l)
      heads_.emplace_back(model.find(Role::attn_v, l) ? config_.head_dim : 0);
    for (Parameter& p : trainable_.parameters()) p.moments = Moments();
    dim longest = 2;
    for (const auto& s : sequences) longest = std::max(longest, dim(s.size()));
    backward_.emplace(trainable_.network(), longest, std::min<dim>(choice.batch, kMostSequences));
    for (const auto& s : sequences.subspan(sequences_.size())) held_back_.sequences.push_back(whole(s));
  }

  void run(LearnedBasis& out, Progress& progress) {
    const Schedule schedule = {.peak = choice_.rate, .steps = choice_.steps};
    const dim every = std::max<dim>(1, choice_.steps / kChecks);
    progress.begin("bases", choice_.steps);
    check(out);
    for (dim step = 0; step < choice_.steps; ++step) {
      out.losses.push_back(gradients(step));
      if (!std::isfinite(out.losses.back())) throw input_error("bases", "expected a finite loss, got another");
      const double rate = schedule.rate(step);
      for_bases([&](Basis& b) { b.step(rate); });
      form();
      if ((step + 1) % every == 0 || step + 1 == choice_.steps) check(out);
      progress.advance(1, fmt::format("loss {:.4f}", out.losses.back()));
    }
    progress.end();
  }
  const std::vector<double>& stream() const { return stream_.best; }
  const std::vector<double>& head(dim layer) const { return heads_[std::size_t(layer)].best; }

 private:
  static constexpr dim kChecks = 8;

  template <class Each>
  void for_bases(const Each& each) {
    each(stream_);
    for (Basis& b : heads_)
      if (b.n > 0) each(b);
  }

  // Keeps the bases as they are where nothing says that earlier ones are better.
  void check(LearnedBasis& out) {
    const bool blind = held_back_.sequences.empty();
    if (!blind) out.held_back.push_back(validation_loss(trainable_.network(), held_back_, *loss_, kMicroTokens));
    if (!blind && out.held_back.back() >= least_) return;
    if (!blind) least_ = out.held_back.back();
    for_bases([](Basis& b) { b.best = b.descent.matrix(); });
  }

  static TrainingSequence whole(const std::vector<Token>& tokens) {
    TrainingSequence s{tokens, std::vector<char>(tokens.size(), 1)};
    s.predicted[0] = 0;
    return s;
  }

  bool has_heads(dim layer) const { return !heads_.empty() && layer >= 0 && heads_[std::size_t(layer)].n > 0; }

  // The loss of the step's sequences, with gradients in the bases'.
  double gradients(dim step) {
    std::vector<TrainingSequence> batch;
    for (dim i = 0; i < std::min<dim>(choice_.batch, kMostSequences); ++i)
      batch.push_back(whole(sequences_[std::size_t(step * choice_.batch + i) % sequences_.size()]));
    MicroBatch together;
    for (const TrainingSequence& s : batch) together.add(s);
    trainable_.clear_gradients();
    loss_->begin(together, 1 / double(together.places.size()));
    const double loss = trainable_.add_gradients(*backward_, together.sequences, together.places, *loss_);
    for (const Parameter& p : trainable_.parameters()) add_gradient(p);
    return loss;
  }

  const float* original(const Parameter& p) const {
    const Encoded& w = model_.tensors()[p.tensor].weight;
    PITH_CHECK(w.format == &f32_format());  // rotated_model sets them aside so
    return reinterpret_cast<const float*>(w.data);
  }
  struct Place {
    Turn turn;
    dim rows, cols, layer;
  };
  // A bias is a matrix of one column.
  Place place_of(const Parameter& p) const {
    const ModelTensor& t = model_.tensors()[p.tensor];
    const bool bias = t.part == Part::bias;
    const bool matrix = is_linear(t.role) || is_embedding(t.role);
    return {matrix ? turn_of(t, has_heads(t.layer)) : Turn::none, bias ? p.size() : p.rows, bias ? 1 : p.cols, t.layer};
  }

  void form(Parameter& p) {
    const Place at = place_of(p);
    if (at.turn == Turn::none) return;
    const float* w = original(p);
    float* to = p.values.as<float>();
    const bool heads = at.turn == Turn::values || at.turn == Turn::outputs;
    by_stream(at, w, heads ? reserve(at) : to);
    if (heads) by_heads(at, scratch_.data(), to);
  }
  void form() {
    for (Parameter& p : trainable_.parameters()) form(p);
    trainable_.publish();
  }

  // W R, or R^T W.
  void by_stream(const Place& at, const float* w, float* to) const {
    const dim n = stream_.n;
    if (at.turn == Turn::rows || at.turn == Turn::outputs)
      product(turned(stream_.values.data(), n), dense(w, at.cols), n, at.cols, n, to, at.cols);
    else if (at.cols == n)
      product(dense(w, n), dense(stream_.values.data(), n), at.rows, n, n, to, n);
    else
      std::copy_n(w, at.rows * at.cols, to);  // the bias of values
  }
  // Each head's rows H^T A, or its columns B H.
  void by_heads(const Place& at, const float* w, float* to) const {
    const Basis& h = heads_[std::size_t(at.layer)];
    const bool rows = at.turn == Turn::values;
    if (!rows && at.cols == 1) {  // the bias of outputs
      std::copy_n(w, at.rows, to);
      return;
    }
    for (dim first = 0; first < (rows ? at.rows : at.cols); first += h.n) {
      if (rows)
        product(turned(h.values.data(), h.n), dense(w + first * at.cols, at.cols), h.n, at.cols, h.n,
                to + first * at.cols, at.cols);
      else
        product(dense(w + first, at.cols), dense(h.values.data(), h.n), at.rows, h.n, h.n, to + first, at.cols);
    }
  }

  // The chain of form(), back from the parameter's gradient.
  void add_gradient(const Parameter& p) {
    const Place at = place_of(p);
    if (at.turn == Turn::none) return;
    const float *w = original(p), *g = p.gradient.as<float>();
    if (at.turn == Turn::values || at.turn == Turn::outputs) g = through_heads(at, w, g);
    const dim n = stream_.n;
    float* to = stream_.gradient.data();
    if (at.turn == Turn::rows || at.turn == Turn::outputs)
      product(dense(w, at.cols), turned(g, at.cols), n, n, at.cols, to, n, true);
    else if (at.cols == n)
      product(turned(w, n), dense(g, n), n, n, at.rows, to, n, true);
  }
  // Adds to the gradient of the heads' basis; returns that of what was turned by it.
  const float* through_heads(const Place& at, const float* w, const float* g) {
    Basis& h = heads_[std::size_t(at.layer)];
    const bool rows = at.turn == Turn::values;
    if (!rows && at.cols == 1) return g;
    float* before = reserve(at);
    by_stream(at, w, before);
    back_.resize(scratch_.size());
    for (dim first = 0; first < (rows ? at.rows : at.cols); first += h.n) {
      const dim offset = rows ? first * at.cols : first;
      if (rows) {
        product(dense(before + offset, at.cols), turned(g + offset, at.cols), h.n, h.n, at.cols, h.gradient.data(), h.n,
                true);
        product(dense(h.values.data(), h.n), dense(g + offset, at.cols), h.n, at.cols, h.n, back_.data() + offset,
                at.cols);
      } else {
        product(turned(before + offset, at.cols), dense(g + offset, at.cols), h.n, h.n, at.rows, h.gradient.data(), h.n,
                true);
        product(dense(g + offset, at.cols), turned(h.values.data(), h.n), at.rows, h.n, h.n, back_.data() + offset,
                at.cols);
      }
    }
    return back_.data();
  }
  float* reserve(const Place& at) {
    scratch_.resize(std::max(scratch_.size(), std::size_t(at.rows * at.cols)));
    return scratch_.data();
  }

  const Model& model_;  // in the basis that it begins with
  const Config& config_;
  std::span<const std::vector<Token>> sequences_;
  const BasisChoice& choice_;
  Trainable trainable_;
  Basis stream_;
  std::vector<Basis> heads_;  // of each block; of size 0 where values have no matrix of their own
  std::unique_ptr<Objective> loss_;
  std::optional<ModelBackward> backward_;
  TrainingData held_back_;
  double least_ = std::numeric_limits<double>::infinity();  // loss of these
  std::vector<float> scratch_, back_;
};

// a r, both (n, n), of a given by what it does to rows.
template <class Apply>
std::vector<double> after(dim n, const Apply& apply, const std::vector<double>& r) {
  std::vector<double> a(r.size(), 0.0), all(r.size());
  for (dim i = 0; i < n; ++i) {
    a[std::size_t(i * n + i)] = 1;
    apply(a.data() + i * n);
  }
  matrix_product(a.data(), Turned::no, r.data(), Turned::no, n, n, n, all.data());
  return all;
}

}  // namespace

LearnedBasis learn_basis(const Model& model, std::span<const std::vector<Token>> sequences, const BasisChoice& choice,
                         Progress& progress) {
  PITH_CHECK(!sequences.empty() && choice.batch > 0 && !choice.start.basis);
  const Model start = rotated_model(model, choice.start);
  Learner learner(start, sequences, choice);
  LearnedBasis out = {.rotation = choice.start, .losses = {}, .held_back = {}};
  learner.run(out, progress);
  const Config& c = model.config();
  const Rotation drawn(c.hidden, choice.start.seed);
  out.rotation.basis = std::make_shared<std::vector<double>>(after(
      c.hidden, [&](double* row) { drawn.apply(row); }, learner.stream()));
  for (dim l = 0; choice.start.heads && l < c.layers; ++l) {
    const std::vector<double>& own = learner.head(l);
    out.rotation.head_bases.push_back(
        own.empty() ? own
                    : after(
                          c.head_dim, [&](double* row) { hadamard_blocks(row, c.head_dim); }, own));
  }
  return out;
}

}  // namespace pith
