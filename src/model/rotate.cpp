#include "model/rotate.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/parallel.h"
#include "formats/format.h"
#include "math/rotation.h"
#include "model/model_impl.h"
#include "model/open/tensor_table.h"
#include "model/shared.h"

namespace pith {

namespace {

using Gamma = std::vector<double>;  // a norm's weight; empty: 1

void check_basis(const Model& model) {
  const auto refuse = [&](std::string_view what) {
    throw Error(
        Blame::input, "rotation",
        fmt::format("expected a model whose branches read RMS norms and write straight into the residual stream, "
                    "got {} ({})",
                    what, model.config().arch),
        "use smoothquant");
  };
  if (model.config().norm != NormKind::rms) refuse("layer norms");
  if (model.pos_embed().weight) refuse("position embeddings");
  if (model.config().rotated_down) refuse("one that is rotated already");
  for (const ModelTensor& t : model.tensors()) {
    if (t.outliers) refuse("outliers apart");
    if (t.sparse) refuse("zeros left out");
  }
  for (const ModelTensor& t : model.tensors()) {
    if (t.turn) refuse("matrices that are turned each");
    if (t.part == Part::inner) refuse("factored matrices");
  }
  if (is_shared(model)) refuse("matrices that blocks share");
  for (dim l = 0; l < model.config().layers; ++l) {
    const Block& b = model.blocks()[std::size_t(l)];
    if (b.attn_post_norm.weight || b.ffn_post_norm.weight) refuse("norms after a branch");
    if (!b.attn_norm.weight) refuse("a branch without a norm");
    if (b.attn_norm.bias || b.ffn_norm.bias) refuse("norms with biases");
  }
}

class Rotator {
 public:
  Rotator(Model::Impl& model, const RotationChoice& choice)
      : m_(model),
        c_(model.config),
        choice_(choice),
        stream_(choice.basis ? Rotation(*choice.basis) : Rotation(c_.hidden, choice.seed)) {
    for (const std::vector<double>& basis : choice.head_bases)
      heads_.push_back(basis.empty() ? std::nullopt : std::optional(Rotation(basis)));
  }

  void run() {
    untie();
    for (std::size_t i = 0; i < m_.tensors.size(); ++i) turn(m_.tensors[i]);
    for (ModelTensor& t : m_.tensors)  // last: until here they are read
      if (folded(t.role) && t.part == Part::weight)
        set_vector(t, std::vector<float>(std::size_t(t.weight.cols), one()));
    c_.tied_embeddings = false;
    c_.rotated_down = choice_.down;
  }

 private:
  static bool folded(Role role) {
    return role == Role::attn_norm || role == Role::ffn_norm || role == Role::output_norm;
  }
  float one() const { return c_.norm_plus_one ? 0.0f : 1.0f; }

  const ModelTensor* find(Role role, dim layer) const {
    const auto at = m_.index.find({role, layer, Part::weight, -1});
    return at == m_.index.end() ? nullptr : &m_.tensors[at->second];
  }

  // Before any index is used: the head comes last of what has a role.
  void untie() {
    if (find(Role::lm_head, -1)) return;
    const ModelTensor& embed = *find(Role::embed, -1);
    ModelTensor head;
    for (const TensorName& entry : m_.arch->tensors)
      if (entry.role == Role::lm_head && entry.part == Part::weight)
        head.name = m_.gguf.empty() ? entry.hf : entry.gguf;
    if (head.name.empty())
      throw input_error("rotation", "expected a family whose head can stand apart from the embedding, got {}", c_.arch);
    head.role = Role::lm_head;
    head.shape = embed.shape;
    head.weight.format = embed.weight.format;
    head.weight.rows = embed.weight.rows;
    head.weight.cols = embed.weight.cols;
    head.weight.data = embed.weight.data;
    const auto place =
        std::find_if(m_.tensors.begin(), m_.tensors.end(), [](const ModelTensor& t) { return t.role == Role::other; });
    m_.tensors.insert(place, std::move(head));
  }

  Gamma gamma(Role role, dim layer) const {
    Gamma out;
    const ModelTensor* t = find(role, layer);
    if (!t) return out;
    for (const float v : values_of(*t)) out.push_back(double(v) + (c_.norm_plus_one ? 1 : 0));
    return out;
  }

  // The norm that a matrix reads.
  Gamma gamma_of(const ModelTensor& t) const {
    switch (t.role) {
      case Role::attn_q:
      case Role::attn_k:
      case Role::attn_v:
      case Role::attn_qkv:
        return gamma(Role::attn_norm, t.layer);
      case Role::lm_head:
        return gamma(Role::output_norm, -1);
      default:
        return gamma(c_.parallel_block && !find(Role::ffn_norm, t.layer) ? Role::attn_norm : Role::ffn_norm, t.layer);
    }
  }

  void turn(ModelTensor& t) {
    switch (t.role) {
      case Role::embed:
        return t.part == Part::weight ? turn_columns(t, {}) : void();
      case Role::attn_q:
      case Role::attn_k:
      case Role::ffn_gate:
      case Role::ffn_up:
      case Role::ffn_gate_up:
      case Role::router:
      case Role::expert_gate:
      case Role::expert_up:
      case Role::shared_gate:
      case Role::shared_up:
      case Role::shared_router:
      case Role::lm_head:
        return t.part == Part::weight ? turn_columns(t, gamma_of(t)) : void();
      case Role::attn_v:
      case Role::attn_qkv:
        if (t.part == Part::weight) turn_columns(t, gamma_of(t));
        return choice_.heads ? turn_value_rows(t) : void();
      case Role::attn_o:
        if (t.part == Part::weight && choice_.heads) turn_head_columns(t);
        return turn_rows(t);
      case Role::ffn_down:
      case Role::expert_down:
      case Role::shared_down:
        if (t.part == Part::weight && choice_.down) hadamard_columns(t, t.weight.cols);
        return turn_rows(t);
      default:
        return;
    }
  }

  static std::vector<float> values_of(const ModelTensor& t) {
    std::vector<float> out(std::size_t(t.weight.rows * t.weight.cols));
    const dim bytes = row_bytes(*t.weight.format, t.weight.cols);
    parallel_for(t.weight.rows, [&](dim r) {
      t.weight.format->decode(*t.weight.format, t.weight.data + r * bytes, t.weight.cols,
                              out.data() + r * t.weight.cols);
    });
    return out;
  }

  void set(ModelTensor& t, const std::vector<float>& values) {
    Buffer bytes(dim(values.size() * sizeof(float)));
    std::copy(values.begin(), values.end(), bytes.as<float>());
    t.weight.format = &f32_format();
    t.weight.data = m_.scratch.keep(std::move(bytes));
  }
  void set_vector(ModelTensor& t, const std::vector<float>& values) { set(t, values); }

  // each(row, in double) for rows of the tensor, which are stored anew.
  template <class Each>
  void for_rows(ModelTensor& t, const Each& each) {
    std::vector<float> values = values_of(t);
    const dim cols = t.weight.cols;
    parallel_for(t.weight.rows, [&](dim r) {
      std::vector<double> row(values.begin() + r * cols, values.begin() + (r + 1) * cols);
      each(row.data());
      std::transform(row.begin(), row.end(), values.begin() + r * cols, [](double v) { return float(v); });
    });
    set(t, values);
  }

  void turn_columns(ModelTensor& t, const Gamma& gamma) {
    for_rows(t, [&](double* row) {
      for (std::size_t c = 0; c < gamma.size(); ++c) row[c] *= gamma[c];
      stream_.apply(row);
    });
  }

  void hadamard_columns(ModelTensor& t, dim width) {
    for_rows(t, [&](double* row) {
      for (dim at = 0; at < t.weight.cols; at += width) hadamard_blocks(row + at, width);
    });
  }

  void turn_head_columns(ModelTensor& t) {
    for_rows(t, [&](double* row) {
      for (dim at = 0; at < t.weight.cols; at += c_.head_dim) turn_head(t.layer, row + at);
    });
  }

  // A head's values, (head_dim).
  void turn_head(dim layer, double* x) const {
    const bool own = std::size_t(layer) < heads_.size() && heads_[std::size_t(layer)];
    own ? heads_[std::size_t(layer)]->apply(x) : hadamard_blocks(x, c_.head_dim);
  }

  // each(column or bias, from row `first` on, `count` of them)
  template <class Each>
  void for_columns(ModelTensor& t, dim first, dim count, const Each& each) {
    std::vector<float> values = values_of(t);
    const dim stride = t.part == Part::bias ? 1 : t.weight.cols, columns = stride;
    parallel_for(columns, [&](dim c) {
      std::vector<double> column(static_cast<std::size_t>(count));
      for (dim r = 0; r < count; ++r) column[std::size_t(r)] = double(values[std::size_t((first + r) * stride + c)]);
      each(column.data());
      for (dim r = 0; r < count; ++r) values[std::size_t((first + r) * stride + c)] = float(column[std::size_t(r)]);
    });
    set(t, values);
  }

  void turn_rows(ModelTensor& t) {
    for_columns(t, 0, c_.hidden, [&](double* column) { stream_.apply(column); });
  }

  void turn_value_rows(ModelTensor& t) {
    const dim width = c_.head_dim;
    if (t.role == Role::attn_v || c_.qkv_order == QkvOrder::stacked) {
      const dim first = t.role == Role::attn_v ? 0 : (c_.heads + c_.kv_heads) * width;
      for_columns(t, first, c_.kv_heads * width, [&](double* column) {
        for (dim h = 0; h < c_.kv_heads; ++h) turn_head(t.layer, column + h * width);
      });
      return;
    }
    const dim group = (c_.heads / c_.kv_heads + 2) * width;
    for_columns(t, 0, c_.kv_heads * group, [&](double* column) {
      for (dim h = 0; h < c_.kv_heads; ++h) turn_head(t.layer, column + (h + 1) * group - width);
    });
  }

  Model::Impl& m_;
  Config& c_;
  RotationChoice choice_;
  Rotation stream_;
  std::vector<std::optional<Rotation>> heads_;  // of blocks
};

}  // namespace

Model rotated_model(const Model& model, const RotationChoice& choice) {
  check_basis(model);
  return Model::edited(model, [choice](Model::Impl& impl) { Rotator(impl, choice).run(); });
}

}  // namespace pith
