// SHA-256, fed piece by piece.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base.h"

struct evp_md_ctx_st;

namespace pith {

class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  std::string hex();  // of all so far, 64 lower-case digits; call once, at the end

 private:
  struct Free {
    void operator()(evp_md_ctx_st*) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256_hex(std::string_view text);

}  // namespace pith
