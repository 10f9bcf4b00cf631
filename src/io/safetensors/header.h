// The JSON header of one safetensors file, before its offsets are checked against each other.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"

namespace pith {

struct SafetensorsHeader {
  std::vector<SafeTensor> tensors;  // as listed; offset_bytes still relative to the data part
  std::map<std::string, std::string> metadata;
};

// Refuses all that is not {name: {dtype, shape, data_offsets}} or "__metadata__": {string: string} while reading, so
// memory stays in proportion to the text. Shapes and dtypes are checked against the sizes.
SafetensorsHeader parse_safetensors_header(std::string_view json, const std::string& where);

}  // namespace pith
