#include <algorithm>
#include <limits>
#include <set>

#include "core/error.h"
#include "formats/format.h"
#include "formats/sparse.h"
#include "io/printable.h"
#include "model/export/parts.h"
#include "model/model_impl.h"
#include "model/open/layout.h"
#include "model/open/tensor_table.h"

namespace pith {

namespace {

// Where a tensor stands in the model's order: embeddings, blocks, what follows them, the unknown.
using Place = std::tuple<int, dim, std::size_t, dim, bool>;
Place place_of(const ModelTensor& t, std::size_t row) {
  if (t.role == Role::other) return {3, 0, 0, 0, false};
  if (t.layer >= 0) return {1, t.layer, row, t.expert, t.part != Part::inner};  // what is multiplied first
  return {t.role == Role::embed || t.role == Role::pos_embed ? 0 : 2, 0, row, 0, false};
}

void check_place(const ModelTensor& t, const Config& c) {
  if (t.layer >= c.layers)
    throw input_error(printable(t.name), "expected layers 0 to {}, got a tensor of layer {}", c.layers - 1, t.layer);
  if (t.expert >= c.experts && is_expert(t.role))
    throw input_error(printable(t.name), "expected experts 0 to {}, got a tensor of expert {}", c.experts - 1,
                      t.expert);
}

void give_roles(Model::Impl& m, const TensorTable& table) {
  std::vector<std::pair<Place, ModelTensor>> order;
  std::set<std::string> names;
  for (ModelTensor& t : m.tensors) {
    if (!names.insert(t.name).second)
      throw input_error(printable(t.name), "expected each tensor once, it is in two files");
    const std::optional<std::string> outer = table.hf() ? weight_of_inner(t.name) : std::nullopt;
    const auto match = table.match(outer ? *outer : t.name);
    if (match.entry) {
      t.role = match.entry->role;
      t.part = outer ? Part::inner : match.entry->part;
      t.layer = match.layer;
      t.expert = match.expert;
      check_place(t, m.config);
    }
    if (!is_expert(t.role) || t.expert >= 0) {
      const Place place = place_of(t, match.row);
      order.emplace_back(place, std::move(t));
      continue;
    }
    for (ModelTensor& slice : expert_slices(std::move(t), m.config.experts)) {
      slice.role = match.entry->role;
      slice.layer = match.layer;
      const Place place = place_of(slice, match.row);
      order.emplace_back(place, std::move(slice));
    }
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  m.tensors.clear();
  for (auto& entry : order) m.tensors.push_back(std::move(entry.second));
}

void turn_transposed(Model::Impl& m, const TensorTable& table) {
  for (ModelTensor& t : m.tensors) {
    const auto match = table.match(t.name);
    if (!match.entry || !match.entry->transposed) continue;
    const std::byte* stored = t.weight.data;
    turn_conv1d(t);
    m.release(stored, t.weight.owned.size_bytes());
    t.weight.data = m.scratch.keep(std::move(t.weight.owned));
  }
}

// A head beside an embedding that config.json calls its twin is never read, nor is it kept.
void drop_unused_head(Model::Impl& m) {
  if (!m.config.tied_embeddings) return;
  std::erase_if(m.tensors, [](const ModelTensor& t) { return t.role == Role::lm_head; });
}

void index_tensors(Model::Impl& m) {
  for (std::size_t i = 0; i < m.tensors.size(); ++i) {
    const ModelTensor& t = m.tensors[i];
    if (t.role == Role::other) continue;
    const auto [at, is_new] = m.index.emplace(std::tuple(t.role, t.layer, t.part, t.expert), i);
    if (!is_new)
      throw input_error(printable(t.name), "expected one tensor for {}, there is {}, too", role_name(t.role),
                        printable(m.tensors[at->second].name));
  }
}

const ModelTensor* find(const Model::Impl& m, Role role, dim layer = -1, Part part = Part::weight, dim expert = -1) {
  const auto at = m.index.find({role, layer, part, expert});
  return at == m.index.end() ? nullptr : &m.tensors[at->second];
}

// Where neither a key nor config.json says how large the vocabulary is.
void vocab_from_embedding(Model::Impl& m) {
  if (m.config.vocab > 0) return;
  const ModelTensor* embed = find(m, Role::embed);
  if (!embed) return;  // missing tensors are reported later
  if (embed->vector || embed->weight.rows < 1 || embed->weight.rows > dim(1) << 28)
    throw input_error(printable(embed->name), "expected a matrix with a row per token, got shape {}",
                      shape_text(embed->shape));
  m.config.vocab = embed->weight.rows;
}

// Of a factor, whose other one says the rank.
std::vector<dim> expected_shape(const Model::Impl& m, const ModelTensor& t, bool hf) {
  std::vector<dim> shape = expected_shape(m.config, t.role, t.part == Part::bias ? Part::bias : Part::weight, hf);
  if (t.part == Part::bias) return shape;
  const ModelTensor* inner = t.part == Part::inner ? &t : inner_of(m, t);
  if (!inner) return shape;
  if (!is_linear(t.role) || shape.size() != 2)
    throw input_error(printable(t.name), "expected factors of linear layers alone, got those of {}", role_name(t.role));
  const dim rank = inner->shape.size() == 2 ? inner->shape[0] : 0;
  if (rank < 1 || rank > shape[1])
    throw input_error(printable(inner->name), "expected 1 to {} rows, found shape {}", shape[1],
                      shape_text(inner->shape));
  shape[t.part == Part::inner ? 0 : 1] = rank;
  return shape;
}

void check_shapes(const Model::Impl& m, bool hf) {
  for (const ModelTensor& t : m.tensors) {
    if (t.role == Role::other) continue;
    const std::vector<dim> expected = expected_shape(m, t, hf);
    if (t.part == Part::inner && !find(m, t.role, t.layer, Part::weight, t.expert))
      throw input_error(printable(t.name), "expected {} beside it, it is missing", *weight_of_inner(t.name));
    if (t.shape != expected)
      throw input_error(printable(t.name), "expected shape {}, found {}", shape_text(expected), shape_text(t.shape));
    if (!fits(*t.weight.format, t.weight.cols))
      throw input_error(printable(t.name), "expected a multiple of {} columns for {}, got {}", t.weight.format->block,
                        t.weight.format->name, t.weight.cols);
  }
}

void check_presence(const Model::Impl& m, const TensorTable& table, const TensorName& entry, bool in_blocks) {
  const dim experts = is_expert(entry.role) ? m.config.experts : 0;
  for (dim layer = in_blocks ? 0 : -1; layer < (in_blocks ? m.config.layers : 0); ++layer)
    for (dim expert = experts > 0 ? 0 : -1; expert < experts; ++expert)
      if (!find(m, entry.role, layer, Part::weight, expert))
        throw input_error(m.path.string(), "expected tensor {} of shape {}, it is missing",
                          tensor_name(table.name(entry), layer, expert),
                          shape_text(expected_shape(m.config, entry.role, entry.part, table.hf())));
}

// What a family leaves open is in all layers or in none.
void check_presence(const Model::Impl& m, const TensorTable& table) {
  for (const TensorName& entry : m.arch->tensors) {
    if (entry.part != Part::weight || table.name(entry).empty()) continue;
    const bool own_norm = entry.role == Role::ffn_norm && !m.config.parallel_block;
    const bool in_blocks = table.name(entry).find("{}") != std::string_view::npos;
    if (!entry.optional || own_norm || (in_blocks && find(m, entry.role, 0)))
      check_presence(m, table, entry, in_blocks);
  }
}

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
      if (!find(m_, Role::attn_norm_2, layer)) continue;
      block.ffn_norm = block.attn_norm;
      block.attn_norm = norm(Role::attn_norm_2, layer);
    }
    find_latents();
  }

 private:
  const float* vector(Role role, dim layer, Part part) {
    const ModelTensor* t = find(m_, role, layer, part);
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
      if (b.k.inner && b.k.inner == b.v.inner) latents.push_back(weight_rows(*b.v.inner));
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
    const ModelTensor* t = find(m_, role, layer, Part::weight, expert);
    if (!t) return {};
    Encoded view;
    view.format = t->weight.format;
    view.rows = t->weight.rows;
    view.cols = t->weight.cols;
    view.data = t->weight.data;
    Linear out{matrix(*t, std::move(view)), vector(role, layer, Part::bias)};
    out.turn = t->turn.get();
    if (is_linear(role)) add_inner(*t, out);
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
    if (const auto at = inners_.find(t); at != inners_.end()) {
      out.inner = at->second;
      return;
    }
    if (t->turn || out.turn)
      throw input_error(printable(t->name), "expected a matrix that is factored or turned, got both");
    Encoded view;
    view.format = t->weight.format;
    view.rows = t->weight.rows;
    view.cols = t->weight.cols;
    view.data = t->weight.data;
    out.inner = inners_[t] = matrix(*t, std::move(view));
  }
  // With what is kept apart.
  const Weight* matrix(const ModelTensor& t, Encoded view) {
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
        throw input_error(printable(find(m_, role)->name), "expected finite factors above 0, got {}", f);
  }

  Model::Impl& m_;
  std::map<const ModelTensor*, const Weight*> inners_;
};

}  // namespace

const ModelTensor* inner_of(const Model::Impl& m, const ModelTensor& t) {
  if (t.part != Part::weight || !is_linear(t.role)) return nullptr;
  if (const ModelTensor* own = find(m, t.role, t.layer, Part::inner, t.expert)) return own;
  const ModelTensor* shared = find(m, shared_input(t.role), t.layer, Part::inner, t.expert);
  const bool reads_it = shared && t.shape.size() == 2 && shared->shape.size() == 2 && t.shape[1] == shared->shape[0] &&
                        shared->shape[0] < shared->shape[1];
  return reads_it ? shared : nullptr;
}

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

void set_shape(ModelTensor& t) {
  t.vector = t.shape.size() <= 1;
  t.weight.cols = t.shape.empty() ? 1 : t.shape.back();
  t.weight.rows = 1;
  for (std::size_t i = 0; i + 1 < t.shape.size(); ++i)
    if (__builtin_mul_overflow(t.weight.rows, t.shape[i], &t.weight.rows))
      throw input_error(printable(t.name), "expected a shape of at most 2^63 values, got {}", shape_text(t.shape));
}

std::string shape_text(std::span<const dim> shape) {
  std::string text;
  for (const dim d : shape) text += fmt::format("{}{}", text.empty() ? "[" : ", ", d);
  return text.empty() ? "[]" : text + "]";
}

void wire(Model::Impl& m) {
  m.index.clear();
  m.weights.clear();
  m.widened.clear();
  m.blocks.clear();
  index_tensors(m);
  Wiring(m).run();
}

void assemble(Model::Impl& m, bool hf) {
  const TensorTable table(*m.arch, hf);
  give_roles(m, table);
  if (hf) turn_transposed(m, table);
  drop_unused_head(m);
  index_tensors(m);
  vocab_from_embedding(m);
  check_presence(m, table);
  check_shapes(m, hf);
  Wiring(m).run();
}

}  // namespace pith
