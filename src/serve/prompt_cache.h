// Tokens and their keys and values as a file, for the next start of the same program on the same machine:
//   "pithkv01"
//   u32 length of what follows and belongs to the identity; its text
//   i64 tokens; i32 each
//   f32 keys and values: (layers, 2, kv_heads, tokens, head_dim), keys before values
//   SHA-256 of all before it, 64 hexadecimal digits
// Little-endian. The file is hostile: nothing is used before every length, the identity and the sum are right.
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "model/forward.h"

namespace pith {

// What keys and values depend on besides the tokens.
struct CacheIdentity {
  std::string model;        // Model::source_stamp
  std::string activations;  // how linear layers round their inputs
  dim layers = 0, kv_heads = 0, head_dim = 0, vocab = 0;
  std::string text() const;
};

struct CachedPrompt {
  std::vector<Token> tokens;
  const std::byte* kv = nullptr;  // in the bytes that were parsed; not aligned
};

// Written beside its place and renamed. Error(input) when keys and values are encoded, Error(environment) when it
// cannot be written.
void write_prompt_cache(const std::filesystem::path& path, const CacheIdentity& identity, std::span<const Token> tokens,
                        const KvCache& cache);

// Error(input) when it is damaged, of something else, or longer than `capacity` tokens.
CachedPrompt parse_prompt_cache(std::span<const std::byte> bytes, const CacheIdentity& identity, dim capacity);

// cache: of one sequence, empty. Error(input) when a value is not finite.
void fill_cache(const CachedPrompt& prompt, KvCache& cache);

}  // namespace pith
