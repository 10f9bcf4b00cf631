// safetensors files, put together by hand.
#pragma once
#include "tests/io/bytes.h"

namespace pith::test {

inline std::string safetensors_file(std::string_view json, std::string_view data) {
  return u64(json.size()) + std::string(json) + std::string(data);
}

// "w" F16 [2, 2] = 1, 2, 3, -0.5: 72 bytes.
inline std::string safetensors_sample() {
  return std::string("\x38\0\0\0\0\0\0\0", 8) + R"({"w":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}})" +
         std::string("\x00\x3c\x00\x40\x00\x42\x00\xb8", 8);
}

}  // namespace pith::test
