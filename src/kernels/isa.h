// Which instruction set the kernels use: the best this machine has, or the one PITH_FORCE_ISA names
// (scalar, avx2). Kernels are written once, in NAME.inc, against 8-wide vectors of the compiler; NAME.cpp
// includes that text once per instruction set:
//
//   #define PITH_KERNEL "kernels/NAME.inc"     // namespace pith::kernels::PITH_ISA { ... }
//   #include "kernels/per_isa.inc"
//
// No standard library templates inside: they would be emitted with the wider instruction set and could be
// picked by the linker for the whole program. Products are not contracted into FMA unless a kernel says so,
// so both texts give the same bytes.
#pragma once
#include <string_view>

#if defined(__clang__)
#define PITH_BEGIN_AVX2 \
  _Pragma("clang attribute push(__attribute__((target(\"avx2,fma,f16c,bmi2\"))), apply_to = function)")
#define PITH_BEGIN_VNNI \
  _Pragma("clang attribute push(__attribute__((target(\"avx512bw,avx512vl,avx512vnni\"))), apply_to = function)")
#define PITH_END_TARGET _Pragma("clang attribute pop")
#else
#define PITH_BEGIN_AVX2 _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,fma,f16c,bmi2\")")
#define PITH_BEGIN_VNNI _Pragma("GCC push_options") _Pragma("GCC target(\"avx512bw,avx512vl,avx512vnni\")")
#define PITH_END_TARGET _Pragma("GCC pop_options")
#endif

namespace pith {

enum class Isa { scalar, avx2 };

Isa active_isa();  // decided once; Error(input) when PITH_FORCE_ISA names one that this machine lacks
std::string_view isa_name(Isa isa);

}  // namespace pith
