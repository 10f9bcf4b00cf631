#include "kernels/expand.h"

#include <cstdlib>

#include "kernels/int8_product.h"

namespace pith {

bool has_expand() {
#if defined(__x86_64__)
  static const bool has = has_int8_products() && __builtin_cpu_supports("avx512vbmi2");
  return has;
#else
  return false;
#endif
}

}  // namespace pith
