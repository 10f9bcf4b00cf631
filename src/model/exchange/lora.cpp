#include "model/exchange/lora.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/format.h"
#include "io/files.h"
#include "io/json.h"
#include "io/printable.h"
#include "model/exchange/checkpoint.h"
#include "model/export/parts.h"
#include "model/model_impl.h"
#include "model/open/tensor_table.h"
#include "model/shared.h"

namespace pith {

namespace {

constexpr std::string_view kConfig = "adapter_config.json", kWeights = "adapter_model.safetensors";

const Format& dense_format(std::string_view name, std::string_view type) {
  if (type == "F32") return f32_format();
  if (type == "F16") return f16_format();
  if (type == "BF16") return bf16_format();
  throw input_error(printable(name), "expected F32, F16 or BF16, found {}", type);
}

Encoded view_of(const Format& format, dim rows, dim cols, const std::byte* data) {
  Encoded e;
  e.format = &format;
  e.rows = rows;
  e.cols = cols;
  e.data = data;
  return e;
}

Error unsupported(std::string_view key, std::string_view expected, const std::string& got) {
  return Error(Blame::input, kConfig, fmt::format("{}: expected {}, got {}", key, expected, printable(got)),
               "merge the adapter with peft's merge_and_unload()");
}

// What peft does beyond W + scale * B A is refused rather than left out.
void check_config(const JsonKeys& keys) {
  const std::string type = keys.text_or("peft_type", "LORA"), bias = keys.text_or("bias", "none");
  if (type != "LORA") throw unsupported("peft_type", "LORA", type);
  if (bias != "none") throw unsupported("bias", "none", bias);
  for (const char* flag : {"fan_in_fan_out", "use_qalora"})
    if (keys.flag_or(flag, false)) throw unsupported(flag, "false", "true");
  // These start from other base weights than the model's own, unless peft saved them as plain sums.
  const auto& object = keys.object;
  if (keys.has("init_lora_weights") && object["init_lora_weights"].is_string()) {
    const std::string start = keys.text_or("init_lora_weights", "");
    for (const std::string_view other : {"pissa", "olora", "corda", "loftq"})
      if (start.starts_with(other)) throw unsupported("init_lora_weights", "one that keeps the base's weights", start);
  }
  if (keys.has("alora_invocation_tokens"))
    throw unsupported("alora_invocation_tokens", "none", object["alora_invocation_tokens"].dump());
  if (keys.has("modules_to_save") && !object["modules_to_save"].empty())
    throw unsupported("modules_to_save", "none", object["modules_to_save"].dump());
}

// alpha of a module: a pattern's own where one names it. Patterns are names of modules or their last parts.
double alpha_of(const JsonKeys& keys, const std::string& module) {
  const auto* own = keys.object_or_null("alpha_pattern");
  if (own)
    for (const auto& [pattern, value] : own->items()) {
      if (pattern.find_first_of("^$*+?[](){}|\\") != std::string::npos)
        throw unsupported("alpha_pattern", "names of modules", pattern);
      const bool named = module == pattern || module.ends_with("." + pattern);
      if (named) return JsonKeys{*own, keys.where, "alpha_pattern."}.number(pattern);
    }
  return keys.number("lora_alpha");
}

// "base_model.model.model.layers.0.mlp.up_proj" + ".lora_A.weight" or ".lora_A.default.weight"
std::optional<std::string> module_of_lora_a(const std::string& name) {
  constexpr std::string_view kPrefix = "base_model.model.";
  if (!name.starts_with(kPrefix)) return {};
  for (const std::string_view suffix : {".lora_A.weight", ".lora_A.default.weight"})
    if (name.ends_with(suffix)) return name.substr(kPrefix.size(), name.size() - kPrefix.size() - suffix.size());
  return {};
}

std::string partner(std::string name, std::string_view from, std::string_view to) {
  name.replace(name.rfind(from), from.size(), to);
  return name;
}

// Of the module whose lora_A this is.
std::vector<float> magnitudes_of(const SafetensorsSet& files, const std::string& lora_a, dim rows) {
  const std::string module = lora_a.substr(0, lora_a.rfind(".lora_A."));
  for (const char* ending :
       {".lora_magnitude_vector", ".lora_magnitude_vector.weight", ".lora_magnitude_vector.default.weight"}) {
    const SafeTensor* t = files.find(module + ending);
    if (!t) continue;
    dim values = 1;
    for (const dim d : t->shape) values *= d;
    if (values != rows) throw input_error(printable(t->name), "expected {} magnitudes, found {}", rows, values);
    const Format& format = dense_format(t->name, t->dtype);
    std::vector<float> magnitudes(static_cast<std::size_t>(rows));
    format.decode(format, files.data(*t), rows, magnitudes.data());
    return magnitudes;
  }
  throw input_error(printable(lora_a), "expected its lora_magnitude_vector (use_dora), it is missing");
}

}  // namespace

struct LoraAdapter::Files {
  std::optional<SafetensorsSet> safetensors;
  std::optional<GgufFile> gguf;
};

LoraAdapter::LoraAdapter() : open_(std::make_unique<Files>()) {}
LoraAdapter::LoraAdapter(LoraAdapter&&) noexcept = default;
LoraAdapter::~LoraAdapter() = default;

LoraAdapter LoraAdapter::open(const std::filesystem::path& path, const Model& base) {
  if (is_shared(base))
    throw Error(Blame::input, path.string(), "expected a base whose blocks have matrices of their own, got shared ones",
                "convert it to gguf or hf first: that gives each block its own");
  LoraAdapter adapter;
  std::error_code fault;
  if (std::filesystem::is_directory(path, fault))
    adapter.open_peft(path, base);
  else
    adapter.open_gguf_adapter(path, base);
  if (adapter.pairs_.empty()) throw input_error(path.string(), "expected pairs of lora_A and lora_B, found none");
  return adapter;
}

void LoraAdapter::open_peft(const std::filesystem::path& folder, const Model& base) {
  paths_ = {folder / kConfig, folder / kWeights};
  const auto config = parse_json(read_text_file(paths_[0]), kConfig);
  const JsonKeys keys{config, std::string(kConfig), ""};
  if (!config.is_object()) throw input_error(kConfig, "expected a JSON object, got {}", config.type_name());
  check_config(keys);
  open_->safetensors.emplace(SafetensorsSet::open(paths_[1]));
  const SafetensorsSet& files = *open_->safetensors;
  std::size_t used = 0;
  for (const SafeTensor& a : files.tensors()) {
    const auto module = module_of_lora_a(a.name);
    if (!module) continue;
    const SafeTensor* b = files.find(partner(a.name, ".lora_A.", ".lora_B."));
    if (!b) throw input_error(printable(a.name), "expected its lora_B, it is missing");
    expect_matrix(a, a.dtype);
    expect_matrix(*b, b->dtype);
    const dim rank = a.shape[0];
    const double alpha = alpha_of(keys, *module);
    Pair pair;
    pair.a = view_of(dense_format(a.name, a.dtype), rank, a.shape[1], files.data(a));
    pair.b = view_of(dense_format(b->name, b->dtype), b->shape[0], b->shape[1], files.data(*b));
    pair.scale = float(keys.flag_or("use_rslora", false) ? alpha / std::sqrt(double(rank)) : alpha / double(rank));
    used += 2;
    if (keys.flag_or("use_dora", false)) {
      pair.magnitudes = magnitudes_of(files, a.name, pair.b.rows);
      ++used;
    }
    take(base, true, *module + ".weight", std::move(pair));
  }
  if (used == files.tensors().size()) return;
  for (const SafeTensor& t : files.tensors())
    if (t.name.find(".lora_A.") == std::string::npos && t.name.find(".lora_B.") == std::string::npos &&
        !(keys.flag_or("use_dora", false) && t.name.find(".lora_magnitude_vector") != std::string::npos))
      throw Error(Blame::input, printable(t.name), "expected lora_A and lora_B of linear layers only",
                  "merge the adapter with peft's merge_and_unload()");
  throw input_error(folder.string(), "expected a lora_A for each lora_B, found {} tensors in {} pairs",
                    files.tensors().size(), used / 2);
}

void LoraAdapter::open_gguf_adapter(const std::filesystem::path& file, const Model& base) {
  paths_ = {file};
  open_->gguf.emplace(file);
  const GgufFile& gguf = *open_->gguf;
  for (const auto& [key, expected] : {std::pair<const char*, std::string_view>{"general.type", "adapter"},
                                      {"adapter.type", "lora"},
                                      {"general.architecture", base.arch().name}})
    if (gguf.meta().find_string(key, "") != expected)
      throw input_error(file.string(), "key {}: expected {}, got '{}'", key, expected,
                        printable(gguf.meta().find_string(key, "")));
  if (gguf.meta().has("adapter.alora.invocation_tokens"))
    throw input_error(file.string(), "expected an adapter that always holds, found one with invocation tokens");
  const double alpha = gguf.meta().get_float("adapter.lora.alpha");
  const auto view = [&](const GgufTensor& t) {
    const Format* format = format_of_gguf_type(t.type);
    if (!format || !is_dense_format(*format) || t.shape.size() != 2 || t.shape[0] < 1 || t.shape[1] < 1)
      throw input_error(printable(t.name), "expected a matrix of F32, F16 or BF16");
    return view_of(*format, t.shape[1], t.shape[0], gguf.data(t));
  };
  constexpr std::string_view kA = ".lora_a", kB = ".lora_b";
  for (const GgufTensor& a : gguf.tensors()) {
    const bool first = a.name.ends_with(kA);
    if (!first && !a.name.ends_with(kB))
      throw input_error(printable(a.name), "expected .lora_a or .lora_b tensors only");
    const std::string weight = a.name.substr(0, a.name.size() - kA.size());
    const GgufTensor* b = gguf.find(weight + std::string(first ? kB : kA));
    if (!b) throw input_error(printable(a.name), "expected its {}, it is missing", first ? kB : kA);
    if (!first) continue;
    Pair pair;
    pair.a = view(a);
    pair.b = view(*b);
    pair.scale = alpha == 0 ? 1.0f : float(alpha / double(pair.a.rows));
    take(base, false, weight, std::move(pair));
  }
}

void LoraAdapter::take(const Model& base, bool hf, const std::string& weight, Pair pair) {
  const TensorTable table(base.arch(), hf);
  const TensorTable::Match match = table.match(weight);
  const ModelTensor* t = match.entry ? base.find(match.entry->role, match.layer, match.entry->part) : nullptr;
  if (!t || t->vector || !(is_linear(t->role) || t->role == Role::lm_head))
    throw input_error(printable(weight),
                      "expected an adapter of linear layers that the model has, this one it has not");
  if (pair.a.cols != t->weight.cols || pair.b.rows != t->weight.rows || pair.b.cols != pair.a.rows)
    throw input_error(printable(weight), "expected an adapter of {} x {}, found {} x {} times {} x {}", t->weight.rows,
                      t->weight.cols, pair.b.rows, pair.b.cols, pair.a.rows, pair.a.cols);
  if (!std::isfinite(pair.scale)) throw input_error(printable(weight), "expected a finite scale, got {}", pair.scale);
  if (match.entry->rope_rows && hf == base.is_gguf()) {
    const Config& c = base.config();
    pair.rows_from = rope_row_order(t->role == Role::attn_q ? c.heads : c.kv_heads, c.head_dim, base.is_gguf());
  }
  pairs_.emplace(std::size_t(t - base.tensors().data()), std::move(pair));
}

void LoraAdapter::apply(std::size_t tensor, dim row, float* values) const {
  const Pair& pair = pairs_.at(tensor);
  const dim rank = pair.a.rows, cols = pair.a.cols;
  const dim from = pair.rows_from.empty() ? row : pair.rows_from[std::size_t(row)];
  const dim a_bytes = row_bytes(*pair.a.format, cols), b_bytes = row_bytes(*pair.b.format, rank);
  std::vector<float> b(static_cast<std::size_t>(rank)), a(static_cast<std::size_t>(cols)), sum(a.size(), 0.0f);
  pair.b.format->decode(*pair.b.format, pair.b.data + from * b_bytes, rank, b.data());
  for (dim k = 0; k < rank; ++k) {
    pair.a.format->decode(*pair.a.format, pair.a.data + k * a_bytes, cols, a.data());
    for (dim c = 0; c < cols; ++c) sum[std::size_t(c)] += b[std::size_t(k)] * a[std::size_t(c)];
  }
  for (dim c = 0; c < cols; ++c) values[c] += pair.scale * sum[std::size_t(c)];
  if (pair.magnitudes.empty()) return;
  double squares = 0;
  for (dim c = 0; c < cols; ++c) squares += double(values[c]) * double(values[c]);
  const auto factor = float(squares > 0 ? double(pair.magnitudes[std::size_t(from)]) / std::sqrt(squares) : 1);
  for (dim c = 0; c < cols; ++c) values[c] *= factor;
}

}  // namespace pith
