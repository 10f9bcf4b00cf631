// Each struct's fields are named once; writing and reading walk the same list.
#include "report/study/record_json.h"

#include <cmath>
#include <limits>

#include "core/error.h"
#include "io/json.h"

namespace pith::report {
namespace {

struct Writer {
  Json out = Json::object();
  template <class T>
  void operator()(const char* name, T& value) {
    out[name] = json_of_value(value);
  }

  template <class T>
  static Json json_of_value(std::vector<T>& values) {
    Json list = Json::array();
    for (T& value : values) list.push_back(json_of_value(value));
    return list;
  }
  template <class T>
  static Json json_of_value(std::optional<T>& value) {
    return value ? json_of_value(*value) : Json(nullptr);
  }
  // Numbers and words as they are, what is not finite as null; anything else by its fields.
  template <class T>
  static Json json_of_value(T& value);
};

struct Reader {
  const Json& in;
  template <class T>
  void operator()(const char* name, T& value) {
    take(in.at(name), value);
  }

  static void take(const Json& j, double& v) {
    v = j.is_null() ? std::numeric_limits<double>::infinity() : j.get<double>();
  }
  static void take(const Json& j, dim& v) { v = j.get<dim>(); }
  static void take(const Json& j, int& v) { v = j.get<int>(); }
  static void take(const Json& j, bool& v) { v = j.get<bool>(); }
  static void take(const Json& j, std::string& v) { v = j.get<std::string>(); }
  template <class T>
  static void take(const Json& j, std::vector<T>& values) {
    for (const Json& item : j.get_ref<const Json::array_t&>()) take(item, values.emplace_back());
  }
  template <class T>
  static void take(const Json& j, std::optional<T>& value) {
    if (!j.is_null()) take(j, value.emplace());
  }
  template <class T>
  static void take(const Json& j, T& value);
};

template <class V>
void fields(V& v, Interval& r) {
  v("mean", r.mean), v("half_width_95", r.half_width);
}
template <class V>
void fields(V& v, WindowScore& r) {
  v("tokens", r.tokens), v("nll", r.nll);
}
template <class V>
void fields(V& v, PositionScore& r) {
  v("from", r.from), v("span", r.span), v("tokens", r.tokens), v("nll", r.nll);
}
template <class V>
void fields(V& v, Histogram& r) {
  v("low", r.low), v("high", r.high), v("shares", r.shares);
}
template <class V>
void fields(V& v, SizeRecord& r) {
  v("file_bytes", r.file_bytes), v("weight_bytes", r.weight_bytes), v("linear_bytes", r.linear_bytes);
  v("parameters", r.parameters), v("linear_parameters", r.linear_parameters), v("pruning_rate", r.zeros);
  v("linear_operations", r.linear_ops), v("head_operations", r.head_ops);
  v("kv_bytes_per_token", r.kv_bytes_per_token);
}
template <class V>
void fields(V& v, DivergenceRecord& r) {
  v("kl", r.kl), v("kl_median", r.median), v("kl_p90", r.p90), v("kl_p99", r.p99), v("kl_max", r.most);
  v("top1_agreement", r.top1), v("rms_delta_p", r.rms_delta_p), v("kl_by_window", r.by_window);
}
template <class V>
void fields(V& v, QualityRecord& r) {
  v("nats_per_token", r.nll), v("perplexity", r.perplexity), v("bits_per_byte", r.bits_per_byte);
  v("divergence", r.against_base), v("windows", r.by_window), v("positions", r.by_position);
}
template <class V>
void fields(V& v, SpeedRecord& r) {
  v("threads", r.threads), v("prefill_tokens_per_second", r.prefill), v("decode_tokens_per_second", r.decode);
  v("first_token_seconds", r.first_token), v("seconds_per_token", r.per_token);
  v("seconds_per_token_p95", r.per_token_p95), v("load_seconds", r.load), v("mfu", r.mfu), v("mbu", r.mbu);
  v("peak_ram_bytes", r.peak_ram);
}
template <class V>
void fields(V& v, TaskRecord& r) {
  v("task", r.name), v("metric", r.metric), v("data_sha256", r.data_hash), v("items", r.items), v("value", r.value);
  v("standard_error", r.error), v("graded", r.graded), v("right", r.right);
}
template <class V>
void fields(V& v, LayerRecord& r) {
  v("errors", r.errors), v("peaks", r.peaks), v("weights", r.weights), v("activations", r.activations);
}
template <class V>
void fields(V& v, TensorError& r) {
  v("role", r.role), v("layer", r.layer), v("relative_error", r.relative);
}
template <class V>
void fields(V& v, ModelRecord& r) {
  v("name", r.name), v("path", r.path), v("xxh3", r.hash), v("family", r.family);
  v("container", r.container), v("category", r.category);
  v("method", r.method), v("format", r.format), v("weight_bits", r.weight_bits);
  v("activations", r.activations), v("activation_bits", r.activation_bits), v("kv", r.kv), v("kv_bits", r.kv_bits);
  v("recipe", r.recipe), v("pruned", r.pruned), v("size", r.size), v("quality", r.quality), v("speed", r.speed);
  v("tasks", r.tasks), v("samples", r.samples), v("layers", r.layers), v("tensors", r.tensors), v("notes", r.notes);
  v("compress_seconds", r.compress_seconds);
}

template <class T>
Json Writer::json_of_value(T& value) {
  if constexpr (std::is_same_v<T, double>) {
    return std::isfinite(value) ? Json(value) : Json(nullptr);
  } else if constexpr (std::is_integral_v<T> || std::is_same_v<T, std::string>) {
    return value;
  } else {
    Writer writer;
    fields(writer, value);
    return std::move(writer.out);
  }
}

template <class T>
void Reader::take(const Json& j, T& value) {
  Reader reader{j};
  fields(reader, value);
}

}  // namespace

Json json_of(const ModelRecord& record) {
  ModelRecord copy = record;  // the list of fields serves for reading too, and takes no constants
  return Writer::json_of_value(copy);
}

std::string to_json(const ModelRecord& record) { return text_of(json_of(record)); }

ModelRecord record_of_json(const std::string& text, const std::string& where) {
  ModelRecord record;
  try {
    Reader::take(Json::parse(text), record);
  } catch (const nlohmann::json::exception& e) {
    throw Error(Blame::input, where, fmt::format("expected the record of a measured model, got: {}", e.what()),
                "remove the file, and the model is measured again");
  }
  return record;
}

}  // namespace pith::report
