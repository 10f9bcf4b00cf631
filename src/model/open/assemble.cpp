#include <algorithm>
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
  const bool first = t.part == Part::inner || is_difference(t);  // what is multiplied first, or beside it
  if (t.layer >= 0) return {1, t.layer, row, t.expert, !first};
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
    const std::optional<NamedPart> beside = table.hf() ? named_part(t.name) : std::nullopt;
    const auto match = table.match(beside ? beside->weight : t.name);
    if (match.entry) {
      t.role = match.entry->role;
      t.part = beside ? beside->part : match.entry->part;
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
    ModelTensor& t = m.tensors[i];
    t.readers = 1;
    if (t.role == Role::other) continue;
    const auto [at, is_new] = m.index.emplace(std::tuple(t.role, t.layer, t.part, t.expert), i);
    if (!is_new)
      throw input_error(printable(t.name), "expected one tensor for {}, there is {}, too", role_name(t.role),
                        printable(m.tensors[at->second].name));
  }
  const auto own = m.index;
  for (const auto& [layer, first] : m.shared)
    for (const auto& [key, i] : own) {
      const auto& [role, of, part, expert] = key;
      if (of == first && part == Part::weight && is_linear_matrix(m.tensors[i]))
        m.tensors[i].readers += m.index.emplace(std::tuple(role, layer, part, expert), i).second;
    }
}

// Where neither a key nor config.json says how large the vocabulary is.
void vocab_from_embedding(Model::Impl& m) {
  if (m.config.vocab > 0) return;
  const ModelTensor* embed = m.find(Role::embed);
  if (!embed) return;  // missing tensors are reported later
  if (embed->vector || embed->weight.rows < 1 || embed->weight.rows > dim(1) << 28)
    throw input_error(printable(embed->name), "expected a matrix with a row per token, got shape {}",
                      shape_text(embed->shape));
  m.config.vocab = embed->weight.rows;
}

// Of a difference, whose other half says the rank.
std::vector<dim> expected_difference(const Model::Impl& m, const ModelTensor& t, std::vector<dim> whole) {
  const bool is_a = t.part == Part::difference_a;
  const ModelTensor* other = m.find(t.role, t.layer, is_a ? Part::difference_b : Part::difference_a, t.expert);
  if (!is_linear(t.role) || whole.size() != 2 || t.layer < 0)
    throw input_error(printable(t.name), "expected differences of linear layers alone, got that of {}",
                      role_name(t.role));
  if (!other) throw input_error(printable(t.name), "expected the other half of the difference, it is missing");
  const dim rank = other->shape.size() == 2 ? other->shape[is_a ? 1 : 0] : 0;
  if (rank < 1 || rank > std::min(whole[0], whole[1]))
    throw input_error(printable(other->name), "expected a rank of 1 to {}, found shape {}",
                      std::min(whole[0], whole[1]), shape_text(other->shape));
  return is_a ? std::vector<dim>{rank, whole[1]} : std::vector<dim>{whole[0], rank};
}

// Of a factor, whose other one says the rank.
std::vector<dim> expected_shape(const Model::Impl& m, const ModelTensor& t, bool hf) {
  std::vector<dim> shape = expected_shape(m.config, t.role, t.part == Part::bias ? Part::bias : Part::weight, hf);
  if (t.part == Part::bias) return shape;
  if (is_difference(t)) return expected_difference(m, t, std::move(shape));
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
    if ((t.part == Part::inner || is_difference(t)) && !m.find(t.role, t.layer, Part::weight, t.expert))
      throw input_error(printable(t.name), "expected {} beside it, it is missing", named_part(t.name)->weight);
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
      if (!m.find(entry.role, layer, Part::weight, expert))
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
    if (!entry.optional || own_norm || (in_blocks && m.find(entry.role, 0))) check_presence(m, table, entry, in_blocks);
  }
}

}  // namespace

const ModelTensor* inner_of(const Model::Impl& m, const ModelTensor& t) {
  if (t.part != Part::weight || !is_linear(t.role)) return nullptr;
  if (const ModelTensor* own = m.find(t.role, t.layer, Part::inner, t.expert)) return own;
  const ModelTensor* shared = m.find(shared_input(t.role), t.layer, Part::inner, t.expert);
  const bool reads_it = shared && t.shape.size() == 2 && shared->shape.size() == 2 && t.shape[1] == shared->shape[0] &&
                        shared->shape[0] < shared->shape[1];
  return reads_it ? shared : nullptr;
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
  m.differences.clear();
  m.blocks.clear();
  index_tensors(m);
  connect(m);
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
  connect(m);
}

}  // namespace pith
