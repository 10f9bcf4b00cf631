// JSON out of untrusted text.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "core/base.h"

namespace pith {

struct JsonLimits {
  dim max_bytes = dim(1) << 28;
  int max_depth = 64;       // of nested arrays and objects
  bool unique_keys = true;  // refuse an object that has a key twice; else the last one counts
};

// Throws Error(input) that says where and why; nlohmann's own exceptions do not leave here.
nlohmann::json parse_json(std::string_view text, std::string_view where, const JsonLimits& limits = {});

}  // namespace pith
