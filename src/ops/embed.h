// Rows of an embedding.
#pragma once
#include <span>

#include "core/weight.h"

namespace pith {

// out (n, cols) = or += table[ids] * scale. ids are within the table's rows; the table is no Sum. With `add`, scratch
// holds n * cols values.
void embed_rows(const Weight& table, std::span<const dim> ids, float scale, float* out, float* scratch, bool add);

}  // namespace pith
