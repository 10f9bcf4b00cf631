#include <limits>
#include <type_traits>

#include "core/error.h"
#include "io/gguf.h"
#include "io/printable.h"

namespace pith {

namespace {

constexpr const char* kTypeNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                      "bool", "string", "array", "u64", "i64", "f64"};

std::string kind_of(const GgufValue& value) {
  if (const auto* array = std::get_if<GgufArray>(&value))
    return fmt::format("an array of {}", kTypeNames[array->values.index()]);
  return kTypeNames[value.index()];
}

Error wrong_kind(std::string_view key, std::string_view expected, const GgufValue& value) {
  return input_error("gguf", "key {}: expected {}, got {}", printable(key), expected, kind_of(value));
}

const GgufValue& require(const GgufMeta& meta, std::string_view key) {
  const GgufValue* value = meta.find(key);
  if (!value) throw input_error("gguf", "expected key {}, it is missing", printable(key));
  return *value;
}

std::int64_t fit_int64(std::string_view key, std::uint64_t v) {
  if (v > std::uint64_t(std::numeric_limits<std::int64_t>::max()))
    throw input_error("gguf", "key {}: expected at most 2^63 - 1, got {}", printable(key), v);
  return std::int64_t(v);
}

template <class T>
constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;

std::int64_t to_int(std::string_view key, const GgufValue& value) {
  return std::visit(
      [&](const auto& v) -> std::int64_t {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::uint64_t>)
          return fit_int64(key, v);
        else if constexpr (kIsInteger<T>)
          return v;
        else
          throw wrong_kind(key, "an integer", value);
      },
      value);
}

double to_float(std::string_view key, const GgufValue& value) {
  return std::visit(
      [&](const auto& v) -> double {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_floating_point_v<T> || kIsInteger<T>)
          return double(v);
        else
          throw wrong_kind(key, "a number", value);
      },
      value);
}

}  // namespace

const GgufValue* GgufMeta::find(std::string_view key) const {
  const auto at = index_.find(key);
  return at == index_.end() ? nullptr : &entries_[at->second].second;
}

std::int64_t GgufMeta::get_int(std::string_view key) const { return to_int(key, require(*this, key)); }

std::int64_t GgufMeta::find_int(std::string_view key, std::int64_t otherwise) const {
  const GgufValue* value = find(key);
  return value ? to_int(key, *value) : otherwise;
}

double GgufMeta::get_float(std::string_view key) const { return to_float(key, require(*this, key)); }

double GgufMeta::find_float(std::string_view key, double otherwise) const {
  const GgufValue* value = find(key);
  return value ? to_float(key, *value) : otherwise;
}

bool GgufMeta::find_bool(std::string_view key, bool otherwise) const {
  const GgufValue* value = find(key);
  if (!value) return otherwise;
  if (const bool* v = std::get_if<bool>(value)) return *v;
  throw wrong_kind(key, "a bool", *value);
}

const std::string& GgufMeta::get_string(std::string_view key) const {
  const GgufValue& value = require(*this, key);
  if (const auto* v = std::get_if<std::string>(&value)) return *v;
  throw wrong_kind(key, "a string", value);
}

std::string GgufMeta::find_string(std::string_view key, std::string_view otherwise) const {
  return has(key) ? get_string(key) : std::string(otherwise);
}

const std::vector<std::string>& GgufMeta::get_strings(std::string_view key) const {
  const GgufValue& value = require(*this, key);
  if (const auto* array = std::get_if<GgufArray>(&value))
    if (const auto* strings = std::get_if<std::vector<std::string>>(&array->values)) return *strings;
  throw wrong_kind(key, "an array of strings", value);
}

std::vector<std::int64_t> GgufMeta::find_ints(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  const auto* array = std::get_if<GgufArray>(value);
  if (!array) {
    if (const bool* v = std::get_if<bool>(value)) return {std::int64_t(*v)};
    return {to_int(key, *value)};
  }
  std::vector<std::int64_t> out;
  std::visit(
      [&](const auto& v) {
        using V = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<V, std::vector<bool>>) {
          out.assign(v.begin(), v.end());
        } else if constexpr (std::is_same_v<V, std::vector<std::uint64_t>>) {
          out.reserve(v.size());
          for (const std::uint64_t x : v) out.push_back(fit_int64(key, x));
        } else if constexpr (!std::is_same_v<V, std::monostate> && !std::is_same_v<V, std::vector<std::string>>) {
          if constexpr (!std::is_floating_point_v<typename V::value_type>)
            out.assign(v.begin(), v.end());
          else
            throw wrong_kind(key, "an array of integers", *value);
        } else {
          throw wrong_kind(key, "an array of integers", *value);
        }
      },
      array->values);
  return out;
}

std::vector<float> GgufMeta::find_floats(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return {};
  if (const auto* array = std::get_if<GgufArray>(value)) {
    if (const auto* v = std::get_if<std::vector<float>>(&array->values)) return *v;
    if (const auto* v = std::get_if<std::vector<double>>(&array->values)) return {v->begin(), v->end()};
  }
  throw wrong_kind(key, "an array of floats", *value);
}

void GgufMeta::set(std::string key, GgufValue value) {
  const auto at = index_.find(key);
  if (at != index_.end()) {
    entries_[at->second].second = std::move(value);
    return;
  }
  index_.emplace(key, entries_.size());
  entries_.emplace_back(std::move(key), std::move(value));
}

void GgufMeta::erase(std::string_view key) {
  const auto at = index_.find(key);
  if (at == index_.end()) return;
  const std::size_t gone = at->second;
  index_.erase(at);
  entries_.erase(entries_.begin() + std::ptrdiff_t(gone));
  for (auto& [name, position] : index_)
    if (position > gone) --position;
}

}  // namespace pith
