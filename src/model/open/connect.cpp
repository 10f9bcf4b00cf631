// The views of the forward pass.
#include <limits>

#include "formats/format.h"
#include "formats/sparse.h"
#include "io/printable.h"
#include "model/export/parts.h"
#include "model/model_impl.h"

namespace pith {

namespace {

struct NormPlace {
  Role role;
  Norm Block::*norm;
};
constexpr NormPlace kNorms[] = {
    {Role::attn_norm, &Block::attn_norm},
    {Role::ffn_norm, &Block::ffn_norm},
    {Role::attn_post_norm, &Block::attn_post_norm},
    {Role::ffn_post_norm, &Block::ffn_post_norm},
    {Role::attn_q_norm, &Block::q_norm},
    {Role::attn_k_norm, &Block::k_norm},
};
struct LinearPlace {
  Role role;
  Linear Block::*linear;
};
constexpr LinearPlace kLinears[] = {
    {Role::attn_q, &Block::q},
    {Role::attn_k, &Block::k},
    {Role::attn_v, &Block::v},
    {Role::attn_qkv, &Block::qkv},
    {Role::attn_o, &Block::o},
    {Role::ffn_gate, &Block::gate},
    {Role::ffn_up, &Block::up},
    {Role::ffn_down, &Block::down},
    {Role::ffn_gate_up, &Block::gate_up},
    {Role::router, &Block::router},
    {Role::shared_router, &Block::shared_router},
};

struct ExpertPlace {
  Role role, shared_role;
  Linear Expert::*linear;
};
constexpr ExpertPlace kExpertLinears[] = {
    {Role::expert_gate, Role::shared_gate, &Expert::gate},
    {Role::expert_up, Role::shared_up, &Expert::up},
    {Role::expert_down, Role::shared_down, &Expert::down},
};

// Builds the views of the forward pass.
class Wiring {
 public:
  explicit Wiring(Model::Impl& model) : m_(model) {}
  void run() {
    m_.embed = linear(Role::embed, -1);
    m_.pos_embed = linear(Role::pos_embed, -1);
    m_.lm_head = linear(Role::lm_head, -1);
    m_.config.tied_embeddings = !m_.lm_head.weight;
    if (!m_.lm_head.weight) m_.lm_head.weight = m_.embed.weight;
    m_.output_norm = norm(Role::output_norm, -1);
    take_rope_factors(Role::rope_factors, m_.config.rope.freq_factors);
    take_rope_factors(Role::rope_long_factors, m_.config.rope.long_factors);
    if (!m_.config.rope.long_factors.empty()) m_.config.rope.scaling = RopeScaling::longrope;
    m_.blocks.resize(std::size_t(m_.config.layers));
    for (dim layer = 0; layer < m_.config.layers; ++layer) {
      Block& block = m_.blocks[std::size_t(layer)];
      for (const NormPlace& place : kNorms) block.*place.norm = norm(place.role, layer);
      for (const LinearPlace& place : kLinears) block.*place.linear = linear(place.role, layer);
      add_experts(block, layer);
      if (!m_.find(Role::attn_norm_2, layer)) continue;
      block.ffn_norm = block.attn_norm;
      block.attn_norm = norm(Role::attn_norm_2, layer);
    }
    find_latents();
  }

 private:
  // In f32: of vectors and other small tensors.
  const float* vector(Role role, dim layer, Part part, dim expert = -1) {
    const ModelTensor* t = m_.find(role, layer, part, expert);
    if (!t) return nullptr;
    const dim rows = t->weight.rows, cols = t->weight.cols;
    auto& values = m_.widened.emplace_back(std::size_t(rows * cols));
    const dim bytes = row_bytes(*t->weight.format, cols);
    for (dim r = 0; r < rows; ++r)
      t->weight.format->decode(*t->weight.format, t->weight.data + r * bytes, cols, values.data() + r * cols);
    return values.data();
  }
  Norm norm(Role role, dim layer) { return {vector(role, layer, Part::weight), vector(role, layer, Part::bias)}; }
  void find_latents() {
    std::vector<dim>& latents = m_.config.kv_latent;
    latents.clear();
    for (const Block& b : m_.blocks)
      if (b.k.inner && b.k.inner == b.v.inner && !b.k.low_rank && !b.v.low_rank)
        latents.push_back(weight_rows(*b.v.inner));
    if (latents.size() < m_.blocks.size()) latents.clear();
  }
  void add_experts(Block& block, dim layer) {
    block.experts.resize(std::size_t(m_.config.experts));
    for (const ExpertPlace& place : kExpertLinears) {
      for (dim e = 0; e < m_.config.experts; ++e)
        block.experts[std::size_t(e)].*place.linear = linear(place.role, layer, e);
      block.shared.*place.linear = linear(place.shared_role, layer);
    }
  }
  Linear linear(Role role, dim layer, dim expert = -1) {
    const ModelTensor* t = m_.find(role, layer, Part::weight, expert);
    if (!t) return {};
    Linear out{matrix(*t), vector(role, layer, Part::bias)};
    out.turn = t->turn.get();
    if (is_linear(role)) add_inner(*t, out);
    if (is_linear(role)) add_difference(*t, layer, out);
    if (out.turn && !is_linear(role))
      throw input_error(printable(t->name), "expected no turned matrix outside the blocks' linear layers");
    if (!is_linear(role) || !m_.run_time.activations.plan().on() || is_dense_format(*t->weight.format)) return out;
    out.act = &m_.run_time.activations.plan();
    const auto scale = m_.act_scales.find(t->name);
    if (scale != m_.act_scales.end()) out.act_scale = scale->second;
    return out;
  }
  void add_inner(const ModelTensor& outer, Linear& out) {
    const ModelTensor* t = inner_of(m_, outer);
    if (!t) return;
    if (t->turn || out.turn)
      throw input_error(printable(t->name), "expected a matrix that is factored or turned, got both");
    out.inner = matrix(*t);
  }
  void add_difference(const ModelTensor& t, dim layer, Linear& out) {
    const ModelTensor* a = m_.find(t.role, layer, Part::difference_a, t.expert);
    if (!a) return;
    if (out.turn || out.inner)
      throw input_error(printable(a->name), "expected a difference from a plain matrix, got one that is {}",
                        out.turn ? "turned" : "factored");
    const ModelTensor* b = m_.find(t.role, layer, Part::difference_b, t.expert);
    for (const ModelTensor* half : {a, b})
      if (half->sparse || half->outliers || half->turn)
        throw input_error(printable(half->name), "expected a difference whose values are all stored, as they are");
    LowRankTerm& term = m_.differences.emplace_back();
    term.a = vector(t.role, layer, Part::difference_a, t.expert);
    term.b = vector(t.role, layer, Part::difference_b, t.expert);
    term.rank = a->weight.rows;
    term.rows = t.weight.rows;
    term.cols = t.weight.cols;
    out.low_rank = &term;
  }
  // Once for all that read it.
  const Weight* matrix(const ModelTensor& t) {
    const Weight*& made = matrices_[&t];
    if (made) return made;
    Encoded view;
    view.format = t.weight.format;
    view.rows = t.weight.rows;
    view.cols = t.weight.cols;
    view.data = t.weight.data;
    return made = with_outliers(t, std::move(view));
  }
  const Weight* with_outliers(const ModelTensor& t, Encoded view) {
    if (t.sparse) return &m_.weights.emplace_back(view_of(*t.sparse));
    if (!t.outliers) return &m_.weights.emplace_back(std::move(view));
    const Sparse& o = *t.outliers;
    Sum sum;
    sum.parts.emplace_back(std::move(view));
    sum.parts.emplace_back(listed_view({o.values.cols, o.shared}, o.rows, o.cols, o.positions, o.values.data));
    return &m_.weights.emplace_back(std::move(sum));
  }
  void take_rope_factors(Role role, std::vector<float>& out) {
    const float* factors = vector(role, -1, Part::weight);
    if (!factors) return;
    out.assign(factors, factors + m_.config.rope.dims / 2);
    for (const float f : out)
      if (!(f > 0 && f <= std::numeric_limits<float>::max()))
        throw input_error(printable(m_.find(role)->name), "expected finite factors above 0, got {}", f);
  }

  Model::Impl& m_;
  std::map<const ModelTensor*, const Weight*> matrices_;
};

}  // namespace

void replace_inner(Block& block, const Weight* before, const Weight* now) {
  const auto replace = [&](Linear& linear) {
    if (linear.inner == before) linear.inner = now;
  };
  for (const LinearPlace& place : kLinears) replace(block.*place.linear);
  for (const ExpertPlace& place : kExpertLinears) {
    replace(block.shared.*place.linear);
    for (Expert& e : block.experts) replace(e.*place.linear);
  }
}

Linear* find_linear(Block& block, Role role, dim expert) {
  for (const LinearPlace& place : kLinears)
    if (place.role == role) return &(block.*place.linear);
  for (const ExpertPlace& place : kExpertLinears) {
    if (place.shared_role == role) return &(block.shared.*place.linear);
    if (place.role == role && expert >= 0 && expert < dim(block.experts.size()))
      return &(block.experts[std::size_t(expert)].*place.linear);
  }
  return nullptr;
}

void connect(Model::Impl& m) { Wiring(m).run(); }

}  // namespace pith
