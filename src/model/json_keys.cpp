#include "model/json_keys.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace pith {

namespace {

const nlohmann::json* found(const JsonKeys& keys, std::string_view key) {
  if (!keys.object.is_object()) return nullptr;
  const auto at = keys.object.find(std::string(key));
  return at == keys.object.end() || at->is_null() ? nullptr : &*at;
}

Error missing(const JsonKeys& keys, std::string_view key) {
  return input_error(keys.where, "expected key {}{}, it is missing", keys.prefix, key);
}

Error wrong_kind(const JsonKeys& keys, std::string_view key, std::string_view expected, const nlohmann::json& value) {
  return input_error(keys.where, "{}{}: expected {}, got {}", keys.prefix, key, expected, value.type_name());
}

}  // namespace

bool JsonKeys::has(std::string_view key) const { return found(*this, key) != nullptr; }

dim JsonKeys::size(std::string_view key, dim most) const {
  if (!has(key)) throw missing(*this, key);
  return size_or(key, most, 0);
}

dim JsonKeys::size_or(std::string_view key, dim most, dim otherwise) const {
  const auto* value = found(*this, key);
  if (!value) return otherwise;
  if (!value->is_number_integer()) throw wrong_kind(*this, key, "a whole number", *value);
  const bool huge = value->is_number_unsigned() && value->get<std::uint64_t>() > std::uint64_t(most);
  const dim n = huge ? 0 : value->get<dim>();
  if (huge || n < 1 || n > most)
    throw input_error(where, "{}{}: expected 1 to {}, got {}", prefix, key, most, value->dump());
  return n;
}

dim JsonKeys::group_size(std::string_view key) const {
  const auto* value = found(*this, key);
  if (value && value->is_number_integer() && *value == -1) return 0;
  return size(key, dim(1) << 20);
}

double JsonKeys::number(std::string_view key) const {
  if (!has(key)) throw missing(*this, key);
  return number_or(key, 0);
}

double JsonKeys::number_or(std::string_view key, double otherwise) const {
  const auto* value = found(*this, key);
  if (!value) return otherwise;
  if (!value->is_number()) throw wrong_kind(*this, key, "a number", *value);
  const double v = value->get<double>();
  if (!std::isfinite(v)) throw input_error(where, "{}{}: expected a finite number, got {}", prefix, key, v);
  return v;
}

bool JsonKeys::flag_or(std::string_view key, bool otherwise) const {
  const auto* value = found(*this, key);
  if (!value) return otherwise;
  if (!value->is_boolean()) throw wrong_kind(*this, key, "true or false", *value);
  return value->get<bool>();
}

std::string JsonKeys::text_or(std::string_view key, std::string_view otherwise) const {
  const auto* value = found(*this, key);
  if (!value) return std::string(otherwise);
  if (!value->is_string()) throw wrong_kind(*this, key, "a string", *value);
  return value->get<std::string>();
}

const nlohmann::json* JsonKeys::object_or_null(std::string_view key) const {
  const auto* value = found(*this, key);
  if (value && !value->is_object()) throw wrong_kind(*this, key, "an object", *value);
  return value;
}

}  // namespace pith
