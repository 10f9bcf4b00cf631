#include "model/export.h"

#include "core/error.h"
#include "formats/format.h"
#include "formats/sparse_rows.h"
#include "io/printable.h"
#include "model/exchange/layout.h"
#include "model/export/parts.h"
#include "model/open/tensor_table.h"
#include "model/rope_scaling.h"

namespace pith {

namespace {

std::string as_bytes_of(const Format& format, std::span<const float> values) {
  std::string bytes(std::size_t(row_bytes(format, dim(values.size()))), '\0');
  format.encode(format, values.data(), nullptr, dim(values.size()), RangeSearch{},
                reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

class Collector {
 public:
  Collector(const Model& model, Container container)
      : model_(model),
        container_(container),
        converts_(model.is_gguf() != (container == Container::gguf)),
        hf_(is_folder(container)) {}

  Outgoing take(std::size_t index, const Format* wanted) const {
    const ModelTensor& t = model_.tensors()[index];
    const TensorName* entry = entry_of(t);
    Outgoing out;
    out.role = t.role;
    out.expert = t.expert;
    out.name = name_of(t, entry);
    const bool factor = t.part == Part::inner || is_difference(t) || model_.inner_of(t);
    out.shape = converts_ && !factor ? expected_shape(model_.config(), t.role, t.part, hf_) : t.shape;
    out.format = container_ == Container::gguf && (t.vector || is_norm(t.role)) ? &f32_format() : wanted;
    check_format(t, *out.format, entry);
    out.tensor.source = index;
    out.tensor.format = out.format;
    if (!entry || t.part == Part::inner || t.part == Part::difference_a) return out;
    if (hf_ && entry->transposed && !factor) {
      out.tensor.transpose = true;
      std::swap(out.shape.at(0), out.shape.at(1));
    }
    if (converts_) rearrange(t, *entry, out);
    return out;
  }

 private:
  // The family's name for the tensor; null when it has none.
  const TensorName* entry_of(const ModelTensor& t) const {
    const TensorName* found = nullptr;
    const Part part = t.part == Part::bias ? Part::bias : Part::weight;
    for (const TensorName& entry : model_.arch().tensors) {
      if (t.role == Role::other || entry.role != t.role || entry.part != part) continue;
      if (entry.beside != Role::other && model_.find(entry.beside, t.layer)) return &entry;
      if (entry.beside == Role::other && !found) found = &entry;
    }
    return found;
  }

  void rearrange(const ModelTensor& t, const TensorName& entry, Outgoing& out) const {
    const Config& c = model_.config();
    if (entry.rope_rows)
      out.tensor.rows_from = rope_row_order(t.role == Role::attn_q ? c.heads : c.kv_heads, c.head_dim, !hf_);
    if (entry.by_head) out.tensor.rows_from = qkv_row_order(c.heads, c.kv_heads, c.head_dim, !hf_);
    if (entry.plus_one)
      make_literal(t, hf_ ? -1.0f : 1.0f, out);
    else if (t.vector && !out.tensor.rows_from.empty())
      make_literal(t, 0, out);
  }

  std::string name_of(const ModelTensor& t, const TensorName* entry) const {
    if (!converts_) return t.name;
    const std::string_view pattern = !entry ? "" : hf_ ? entry->hf : entry->gguf;
    if (pattern.empty())
      throw Error(Blame::input, printable(t.name),
                  fmt::format("expected a tensor that {} can name in the {} family, got one it does not know",
                              container_ == Container::gguf ? "GGUF" : "Hugging Face", model_.arch().name),
                  "stay with the source's container");
    const std::string name = tensor_name(pattern, t.layer, t.expert);
    return t.part == Part::inner || is_difference(t) ? name_of_part(name, t.part) : name;
  }

  void check_format(const ModelTensor& t, const Format& f, const TensorName* entry) const {
    if (!fits(f, t.weight.cols))
      throw input_error(printable(t.name), "expected a multiple of {} columns for {}, got {}", f.block, f.name,
                        t.weight.cols);
    if (t.weight.rows == 0 || t.weight.cols == 0)
      throw input_error(printable(t.name), "expected a tensor with values, got shape without any");
    if (container_ == Container::gguf) {
      if (f.gguf_type < 0)
        throw Error(Blame::input, printable(t.name), fmt::format("expected a type that GGUF has, got {}", f.name),
                    "use --to hf");
      return;
    }
    const bool conv1d = entry && entry->transposed && !is_dense_format(f);
    const std::string expected = conv1d ? "f32, f16 or bf16 for a transposed layer" : misfit(container_, f, t);
    if (expected.empty()) return;
    throw Error(Blame::input, printable(t.name),
                fmt::format("expected {} in {}, got {} ({} x {})", expected, container_name(container_), f.name,
                            t.weight.rows, t.weight.cols),
                f.gguf_type >= 0 ? "use --to gguf" : "see `pith formats`");
  }

  static void make_literal(const ModelTensor& t, float add, Outgoing& out) {
    std::vector<float> from(std::size_t(t.weight.cols)), to(from.size());
    t.weight.format->decode(*t.weight.format, t.weight.data, t.weight.cols, from.data());
    const auto& order = out.tensor.rows_from;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = add + from[order.empty() ? i : std::size_t(order[i])];
    out.literal = as_bytes_of(*out.format, to);
  }

  const Model& model_;
  Container container_;
  bool converts_;
  bool hf_;
};

}  // namespace

bool is_dense_format(const Format& f) { return &f == &f32_format() || &f == &f16_format() || &f == &bf16_format(); }

std::string module_name(std::string_view weight) {
  constexpr std::string_view kWeight = ".weight";
  if (!weight.ends_with(kWeight))
    throw input_error(weight, "expected a name that ends with {} for a packed layer", kWeight);
  return std::string(weight.substr(0, weight.size() - kWeight.size()));
}

std::vector<dim> rope_row_order(dim heads, dim head_dim, bool to_neighbours) {
  std::vector<dim> from(static_cast<std::size_t>(heads * head_dim));
  const dim half = head_dim / 2;
  for (dim h = 0; h < heads; ++h)
    for (dim j = 0; j < half; ++j)
      for (dim s = 0; s < 2; ++s) {
        const dim halves = h * head_dim + s * half + j, neighbours = h * head_dim + 2 * j + s;
        from[std::size_t(to_neighbours ? neighbours : halves)] = to_neighbours ? halves : neighbours;
      }
  return from;
}

std::vector<dim> qkv_row_order(dim heads, dim kv_heads, dim head_dim, bool to_stacked) {
  const dim group = heads / kv_heads;
  std::vector<dim> from(static_cast<std::size_t>((heads + 2 * kv_heads) * head_dim));
  for (dim kv = 0; kv < kv_heads; ++kv)
    for (dim i = 0; i < group + 2; ++i) {
      const dim by_head = kv * (group + 2) + i;
      const dim stacked = i < group ? kv * group + i : heads + (i - group) * kv_heads + kv;
      for (dim d = 0; d < head_dim; ++d) {
        const dim a = by_head * head_dim + d, b = stacked * head_dim + d;
        from[std::size_t(to_stacked ? b : a)] = to_stacked ? a : b;
      }
    }
  return from;
}

namespace {

// What config.json says in words and GGUF in tensors.
void add_rope_factors(const Model& model, std::vector<Outgoing>& literals) {
  const Rope& rope = model.config().rope;
  const auto add = [&](Role role, std::string_view name, const std::vector<float>& factors) {
    Outgoing& out = literals.emplace_back();
    out.name = name;
    out.shape = {dim(factors.size())};
    out.format = &f32_format();
    out.role = role;
    out.literal = as_bytes_of(f32_format(), factors);
  };
  if (rope.scaling == RopeScaling::llama3) add(Role::rope_factors, "rope_freqs.weight", llama3_freq_factors(rope));
  if (rope.scaling != RopeScaling::longrope) return;
  add(Role::rope_long_factors, "rope_factors_long.weight", rope.long_factors);
  add(Role::rope_factors, "rope_factors_short.weight", rope.freq_factors);
}

}  // namespace

std::string misfit(Container container, const Format& format, const ModelTensor& t) {
  if (!is_folder(container)) {
    if (format.gguf_type < 0) return "a type that GGUF has";
    return fits(format, t.weight.cols) ? "" : fmt::format("columns in multiples of {}", format.block);
  }
  if (is_dense_format(format)) return {};
  const Layout& layout = layout_of(container);
  const bool packable = is_linear(t.role) || t.role == Role::lm_head || (layout.embeddings && t.role == Role::embed);
  if (t.vector || t.part == Part::bias || !packable) return "f32, f16 or bf16 for what is no linear layer";
  const std::string expected = layout.misfit(format, t.weight.rows, t.weight.cols);
  return expected.empty() ? "" : "f32, f16, bf16, or " + expected;
}

namespace {
constexpr std::pair<std::string_view, Container> kContainers[] = {
    {"gguf", Container::gguf}, {"hf", Container::hf},     {"compressed-tensors", Container::hf},
    {"gptq", Container::gptq}, {"awq", Container::awq},   {"bnb", Container::bnb},
    {"mlx", Container::mlx},   {"pith", Container::pith},
};
}  // namespace

std::string_view container_name(Container container) {
  for (const auto& [name, known] : kContainers)
    if (known == container) return name;
  throw InternalError("a container without a name");
}

Container container_or_throw(std::string_view name) {
  std::string names;
  for (const auto& [known, container] : kContainers) {
    if (known == name) return container;
    names.append(names.empty() ? "" : ", ").append(known);
  }
  throw input_error("container", "expected one of {}; got '{}'", names, name);
}

static void give_outliers(Container container, const OutlierShape& shape, Outgoing& out) {
  if (shape.per_row == 0) return;
  const bool holds = container == Container::pith || (container == Container::gguf && out.expert < 0);
  if (!holds || !std::string_view(out.name).ends_with(".weight"))
    throw Error(Blame::input, printable(out.name),
                fmt::format("expected a container that keeps outliers apart, got {}{}", container_name(container),
                            out.expert < 0 ? "" : " with experts"),
                "use --to pith");
  out.tensor.outliers = shape;
}

// Rows that move on their way stay apart.
static void give_turn(Container container, const ModelTensor& t, std::optional<std::uint64_t> seed, Outgoing& out) {
  if (!t.turn && !seed) return;
  if (container != Container::pith || is_dense_format(*out.format))
    throw Error(Blame::input, printable(t.name),
                fmt::format("expected a container that says how matrices are turned, got {}{}",
                            container_name(container), is_dense_format(*out.format) ? " without codes" : ""),
                t.turn ? "start from the original model" : "use --to pith");
  const bool outputs = out.tensor.rows_from.empty() && Turn::can_turn(t.weight.rows);
  if (t.turn)
    out.tensor.turn = t.turn;
  else if (Turn::can_turn(t.weight.cols) && !out.tensor.transpose)
    out.tensor.turn = std::make_shared<Turn>(*seed, outputs, t.weight.rows, t.weight.cols);
}

static void give_sparse(Container container, const std::optional<SparseShape>& shape, Outgoing& out) {
  if (!shape) return;
  const std::string where = printable(out.name);
  if (container != Container::pith || !std::string_view(out.name).ends_with(".weight") || out.tensor.transpose ||
      out.tensor.outliers.per_row > 0)
    throw Error(Blame::input, where,
                fmt::format("expected a container that leaves zeros out, got {}{}{}", container_name(container),
                            out.tensor.transpose ? " with a transposed matrix" : "",
                            out.tensor.outliers.per_row > 0 ? " with outliers apart" : ""),
                "use --to pith, or --store dense");
  const std::string expected = sparse_misfit(shape->layout, *out.format, out.shape.back());
  if (!expected.empty())
    throw Error(Blame::input, where, fmt::format("expected {}, got {}", expected, out.format->name),
                "store it dense, or as a bitmask in such a format");
  out.tensor.sparse = shape;
}

std::vector<Outgoing> outgoing_tensors(const Model& model, Container container,
                                       std::span<const Format* const> format_of,
                                       std::span<const OutlierShape> outliers_of,
                                       std::span<const std::optional<std::uint64_t>> turn_of,
                                       std::span<const std::optional<SparseShape>> sparse_of) {
  PITH_CHECK(format_of.size() == model.tensors().size());
  PITH_CHECK(outliers_of.empty() || outliers_of.size() == format_of.size());
  const Collector collector(model, container);
  std::vector<Outgoing> literals, sourced;
  for (std::size_t i = 0; i < format_of.size(); ++i) {
    if (!format_of[i]) continue;
    Outgoing out = collector.take(i, format_of[i]);
    if (!outliers_of.empty()) give_outliers(container, outliers_of[i], out);
    give_turn(container, model.tensors()[i], turn_of.empty() ? std::nullopt : turn_of[i], out);
    if (!sparse_of.empty()) give_sparse(container, sparse_of[i], out);
    (out.literal.empty() ? sourced : literals).push_back(std::move(out));
  }
  if (container == Container::gguf && !model.is_gguf()) add_rope_factors(model, literals);
  for (Outgoing& out : sourced) literals.push_back(std::move(out));
  return literals;
}

dim ExportPlan::total_bytes() const {
  dim bytes = 0;
  for (const ExportFile& file : files) bytes += file.total_bytes;
  return bytes;
}

static void check_activations(Container container, const ActSpec& activations) {
  if (!activations.plan().on()) return;
  if (container != Container::hf && container != Container::gguf && container != Container::pith)
    throw Error(Blame::input, "activations",
                fmt::format("expected f32 in {}, got {}", container_name(container), activations.text()),
                "use --to hf, --to gguf or --to pith");
  if (container != Container::hf && activations.plan().fixed)
    throw Error(Blame::input, "activations",
                fmt::format("expected a scale for each token in {}, got static scales", container_name(container)),
                "use --to hf");
}

// Other programs would run such a model without turning anything, and say nothing.
static void check_rotation(Container container, const Config& config) {
  if (config.rotated_down && container != Container::pith)
    throw Error(Blame::input, "rotation",
                fmt::format("expected a container that pith alone reads, since inputs of down-projections are turned "
                            "while the model runs, got {}",
                            container_name(container)),
                "use --to pith, or --set down=false");
}

static void check_factors(const Model& model, Container container) {
  if (container == Container::pith) return;
  for (const ModelTensor& t : model.tensors())
    if (t.part == Part::inner || is_difference(t))
      throw Error(
          Blame::input, printable(t.name),
          fmt::format("expected a container that holds factors and differences, got {}", container_name(container)),
          "use --to pith");
}

ExportPlan plan_export(const Model& model, Container container, std::span<const Format* const> format_of,
                       std::string_view target_name, dim max_shard_bytes, std::span<const OutlierShape> outliers_of,
                       const RunTime& run_time, std::span<const std::optional<std::uint64_t>> turn_of,
                       std::span<const std::optional<SparseShape>> sparse_of) {
  check_activations(container, run_time.activations);
  check_rotation(container, model.config());
  check_factors(model, container);
  ExportPlan plan;
  plan.run_time = run_time;
  plan.container = container;
  std::vector<Outgoing> tensors = outgoing_tensors(model, container, format_of, outliers_of, turn_of, sparse_of);
  if (container == Container::gguf)
    plan_gguf(model, tensors, target_name, plan);
  else
    plan_hf(model, tensors, max_shard_bytes, plan);
  for (Outgoing& t : tensors)
    if (t.literal.empty()) plan.tensors.push_back(std::move(t.tensor));
  return plan;
}

void lay_out(const ExportTensor& t, dim rows, dim cols, std::span<const std::byte> encoded,
             const std::function<void(const Slot&, std::span<const std::byte>)>& emit) {
  PITH_CHECK(dim(encoded.size()) == rows * row_bytes(*t.format, cols));
  if (t.sparse) {
    const SparseParts parts = pack_sparse(*t.sparse, *t.format, rows, cols, encoded.data());
    const std::vector<std::byte>* bytes[] = {&parts.positions, &parts.scales, &parts.values};
    std::size_t slot = 0;
    for (const auto* part : bytes) {
      if (part == &parts.scales && part->empty()) continue;
      PITH_CHECK(t.slots.at(slot).size_bytes == dim(part->size()));
      emit(t.slots[slot++], *part);
    }
    return;
  }
  if (!t.layout) {
    PITH_CHECK(t.slots.size() == 1);
    PITH_CHECK(t.slots[0].size_bytes == dim(encoded.size()));
    return emit(t.slots[0], encoded);
  }
  PITH_CHECK(t.layout);
  const PackedParts parts = t.layout->pack(*t.format, rows, cols, encoded);
  PITH_CHECK(parts.size() + (t.slots.back().act_scale ? 1 : 0) == t.slots.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    PITH_CHECK(t.slots[i].size_bytes == dim(parts[i].size()));
    emit(t.slots[i], parts[i]);
  }
}

}  // namespace pith
