// Loops that do nothing but multiply, as fast as this machine can on one thread: what products are compared with.
#pragma once
#include "core/base.h"

namespace pith {

// Each runs about `rounds` * 1000 instructions and returns how many operations (a multiply and an add are two) it did;
// 0 where the instruction set has no such product.
double peak_f32(dim rounds);
double peak_bf16(dim rounds);
double peak_int8(dim rounds);

// The sum of the bytes' 64-bit words, read once from end to end.
std::uint64_t read_through(const std::byte* data, dim size_bytes);

}  // namespace pith
