#include "kernels/isa.h"

#include <cstdlib>

#include "core/error.h"

namespace pith {

static bool has_avx2() {
#if defined(__x86_64__)
  // f16c cannot be asked for under clang 14; every processor with AVX2 has it.
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#else
  return false;
#endif
}

static Isa choose() {
  const char* forced = std::getenv("PITH_FORCE_ISA");
  if (!forced || !*forced) return has_avx2() ? Isa::avx2 : Isa::scalar;
  const std::string_view name = forced;
  if (name == "scalar") return Isa::scalar;
  if (name == "avx2" && has_avx2()) return Isa::avx2;
  throw input_error("PITH_FORCE_ISA", "expected one of scalar, avx2 that this machine has, got '{}'", name);
}

Isa active_isa() {
  static const Isa isa = choose();
  return isa;
}

std::string_view isa_name(Isa isa) { return isa == Isa::avx2 ? "avx2" : "scalar"; }

}  // namespace pith
