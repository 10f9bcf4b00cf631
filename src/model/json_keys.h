// Typed access to keys of untrusted JSON. A key that is absent or null counts as missing. Error(input) at `where`
// names the key.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "core/base.h"

namespace pith {

struct JsonKeys {
  const nlohmann::json& object;
  std::string where;   // "config.json"
  std::string prefix;  // "rope_scaling." where the object is nested

  bool has(std::string_view key) const;
  dim size(std::string_view key, dim most) const;  // 1 ... most, required
  dim size_or(std::string_view key, dim most, dim otherwise) const;
  dim group_size(std::string_view key) const;  // 1 ... 2^20, or 0 where it is -1: one group for the whole row
  double number(std::string_view key) const;   // finite, required
  double number_or(std::string_view key, double otherwise) const;
  bool flag_or(std::string_view key, bool otherwise) const;
  std::string text_or(std::string_view key, std::string_view otherwise) const;
  const nlohmann::json* object_or_null(std::string_view key) const;
};

}  // namespace pith
