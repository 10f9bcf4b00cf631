// Prompt caches. The first byte says whether the sum at the end is put right, so that what lies behind it is reached.
#include "serve/prompt_cache.h"

#include <cstring>
#include <vector>

#include "fuzz/fuzz.h"
#include "io/sha256.h"

using namespace pith;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string bytes(fuzz::text(data + 1, size - 1));
  if ((data[0] & 1) && bytes.size() >= 64) {
    const std::string sum = sha256_hex(std::string_view(bytes).substr(0, bytes.size() - 64));
    std::memcpy(bytes.data() + bytes.size() - 64, sum.data(), 64);
  }
  Config config;
  config.layers = 2;
  config.kv_heads = 2;
  config.head_dim = 4;
  config.vocab = 100;
  const CacheIdentity identity = {"m", "", config.layers, config.kv_heads, config.head_dim, config.vocab};
  return fuzz::refuse_or_accept([&] {
    const CachedPrompt prompt = parse_prompt_cache(std::as_bytes(std::span(bytes)), identity, 16);
    KvCache cache(config, 1, 16);
    fill_cache(prompt, cache);
  });
}
