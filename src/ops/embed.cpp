#include "ops/embed.h"

#include "formats/sparse.h"
#include "kernels/rows.h"
#include "ops/parts.h"

namespace pith {

void embed_rows(const Weight& table, std::span<const dim> ids, float scale, float* out, float* scratch, bool add_on) {
  const dim cols = weight_cols(table);
  parallel_for(
      dim(ids.size()),
      [&](dim i) {
        float* to = (add_on ? scratch : out) + i * cols;
        decode_weight_row(table, ids[std::size_t(i)], to, nullptr);
        if (scale != 1) multiply(to, scale, cols);
        if (add_on) add(out + i * cols, to, cols);
      },
      grain_of(cols));
}

}  // namespace pith
