#include "model/exchange/checkpoint.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/half.h"
#include "io/json.h"
#include "io/printable.h"
#include "model/config_hf.h"
#include "model/exchange/words.h"
#include "model/model_impl.h"

namespace pith {

namespace {

struct Reader {
  std::string_view method;
  void (*unpack)(const JsonKeys& quantization, const SafetensorsSet& files, Unpacked& out);
};
constexpr Reader kReaders[] = {
    {"gptq", unpack_gptq},
    {"awq", unpack_awq},
    {"compressed-tensors", unpack_compressed_tensors},
    {"fp8", unpack_fp8},
    {"bitsandbytes", unpack_bitsandbytes},
    {"mlx", unpack_mlx},
    {"pith", unpack_pith_rows},
};

constexpr dim kMostSize = dim(1) << 31;

// MLX names no method; its objects have a group size and bits.
std::string method_of(const JsonKeys& keys) {
  if (keys.has("quant_method")) return keys.text_or("quant_method", "");
  if (keys.has("config_groups")) return "compressed-tensors";
  if (keys.has("desc_act")) return "gptq";
  return keys.has("group_size") && keys.has("bits") ? "mlx" : "";
}

}  // namespace

void Unpacked::note(std::string text) {
  if (std::find(notes.begin(), notes.end(), text) == notes.end()) notes.push_back(std::move(text));
}

void Unpacked::keep(ModelTensor& t) { t.weight.data = scratch.keep(std::move(t.weight.owned)); }

void Unpacked::done(const SafetensorsSet& files, const std::string& name) {
  const SafeTensor* t = files.find(name);
  if (!t) return;
  used.insert(name);
  // Touching a page maps some around it, too.
  constexpr dim kAround = dim(64) << 10;
  const MappedFile& file = files.files()[std::size_t(t->file)];
  const dim at = files.data(*t) - file.data();
  const dim begin = std::max<dim>(0, at - kAround), end = std::min(file.size_bytes(), at + t->size_bytes + kAround);
  file.release(file.data() + begin, end - begin);
}

Unpacked unpack_layers(const nlohmann::json& config, const std::string& legacy, const SafetensorsSet& files) {
  Unpacked out;
  const JsonKeys keys{config, std::string(kConfigJson), ""};
  nlohmann::json old;  // outlives the keys that refer to it
  JsonKeys quantization{config, keys.where, "quantization_config."};
  const auto* object = keys.object_or_null("quantization_config");
  if (!object && (object = keys.object_or_null("quantization"))) quantization.prefix = "quantization.";
  if (!object && !legacy.empty()) {
    quantization.where = "quantize_config.json";
    quantization.prefix.clear();
    old = parse_json(legacy, quantization.where);
    object = &old;
  }
  if (!object) return out;
  const JsonKeys found{*object, quantization.where, quantization.prefix};
  const std::string method = method_of(found);
  std::string known;
  for (const Reader& reader : kReaders) {
    if (reader.method == method) {
      reader.unpack(found, files, out);
      return out;
    }
    known.append(known.empty() ? "" : ", ").append(reader.method);
  }
  throw Error(Blame::input, found.where,
              fmt::format("{}quant_method: expected one of {}; got '{}'", found.prefix, known, printable(method)),
              "start from the model in full precision");
}

std::string module_of(const SafeTensor& t, std::string_view suffix) {
  PITH_CHECK(std::string_view(t.name).ends_with(suffix));
  return t.name.substr(0, t.name.size() - suffix.size());
}

const SafeTensor& companion(const SafetensorsSet& files, const std::string& base, std::string_view suffix) {
  const std::string name = base + std::string(suffix);
  const SafeTensor* t = files.find(name);
  if (!t) throw input_error(printable(base), "expected tensor {}, it is missing", printable(name));
  return *t;
}

void expect_shape(const SafeTensor& t, std::string_view dtype, const std::vector<dim>& shape) {
  if (t.dtype != dtype || t.shape != shape)
    throw input_error(printable(t.name), "expected {} {}, found {} {}", dtype, shape_text(shape), t.dtype,
                      shape_text(t.shape));
}

void expect_matrix(const SafeTensor& t, std::string_view dtype) {
  const bool sizes = t.shape.size() == 2 &&
                     std::all_of(t.shape.begin(), t.shape.end(), [](dim d) { return d >= 1 && d <= kMostSize; });
  if (t.dtype != dtype || !sizes)
    throw input_error(printable(t.name), "expected a matrix of {}, found {} {}", dtype, t.dtype, shape_text(t.shape));
}

void expect_float(const SafeTensor& t, const std::vector<dim>& shape) {
  const bool known = t.dtype == "F16" || t.dtype == "BF16" || t.dtype == "F32";
  expect_shape(t, known ? t.dtype : "F16, BF16 or F32", shape);
}

float float_at(const SafetensorsSet& files, const SafeTensor& t, dim i) {
  const std::byte* data = files.data(t);
  if (t.dtype == "F32") return load_at<float>(data, i);
  const auto bits = load_at<std::uint16_t>(data, i);
  return t.dtype == "F16" ? f16_to_f32(bits) : bf16_to_f32(bits);
}

}  // namespace pith
