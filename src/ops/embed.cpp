#include "ops/embed.h"

#include "formats/format.h"
#include "kernels/rows.h"
#include "ops/parts.h"

namespace pith {

void embed_rows(const Weight& table, std::span<const dim> ids, float scale, float* out, float* scratch, bool add_on) {
  const Encoded& w = std::get<Encoded>(table);
  const dim row_size = row_bytes(*w.format, w.cols);
  parallel_for(
      dim(ids.size()),
      [&](dim i) {
        float* to = (add_on ? scratch : out) + i * w.cols;
        w.format->decode(*w.format, w.data + ids[std::size_t(i)] * row_size, w.cols, to);
        if (scale != 1) multiply(to, scale, w.cols);
        if (add_on) add(out + i * w.cols, to, w.cols);
      },
      grain_of(w.cols));
}

}  // namespace pith
