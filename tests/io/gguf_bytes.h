// GGUF files, put together by hand.
#pragma once
#include <initializer_list>

#include "tests/io/bytes.h"

namespace pith::test {

inline std::string gguf_string(std::string_view s) { return u64(s.size()) + std::string(s); }
inline std::string gguf_pair(std::string_view key, std::uint32_t type, const std::string& value) {
  return gguf_string(key) + u32(type) + value;
}
inline std::string gguf_info(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                             std::uint64_t offset) {
  std::string s = gguf_string(name) + u32(std::uint32_t(dims.size()));
  for (const std::uint64_t d : dims) s += u64(d);
  return s + u32(type) + u64(offset);
}

struct GgufParts {
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::vector<std::string> pairs;
  std::vector<std::string> infos;
  std::size_t data_bytes = 0;
  std::size_t alignment = 32;

  std::string header(std::uint64_t tensors, std::uint64_t pair_count) const {
    std::string s = magic + u32(version) + u64(tensors) + u64(pair_count);
    for (const auto& p : pairs) s += p;
    for (const auto& i : infos) s += i;
    return s;
  }
  std::string file() const {
    std::string s = header(infos.size(), pairs.size());
    s.resize((s.size() + alignment - 1) / alignment * alignment);
    return s + zeros(data_bytes);
  }
};

// One pair and the F32 tensor "a" of 2 rows and 3 columns with the values 0 to 5: 160 bytes.
inline std::string gguf_sample() {
  return std::string("GGUF") + u32(3) + u64(1) + u64(1) +                         //
         u64(20) + "general.architecture" + u32(8) + u64(5) + "llama" +           //
         u64(1) + "a" + u32(2) + u64(3) + u64(2) + u32(0) + u64(0) + zeros(18) +  //
         f32(0) + f32(1) + f32(2) + f32(3) + f32(4) + f32(5) + zeros(8);
}

}  // namespace pith::test
