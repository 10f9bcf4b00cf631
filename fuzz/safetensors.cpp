// safetensors: every accepted file must be covered by its tensors, and come back when its plan is written again.
#include "io/safetensors.h"

#include "fuzz/fuzz.h"

using namespace pith;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::refuse_or_accept([&] {
    const SafetensorsSet set = SafetensorsSet::parse(fuzz::file(data, size), "fuzz");
    dim covered = 0;
    for (const SafeTensor& t : set.tensors()) {
      PITH_CHECK(set.find(t.name) == &t);
      fuzz::touch(set.data(t), t.size_bytes);
      covered += t.size_bytes;
    }
    PITH_CHECK(covered <= dim(size));
    const SafetensorsLayout layout = safetensors_layout(set.tensors(), dim(1) << 40);
    PITH_CHECK(layout.shards.size() == 1);
    std::string again = layout.shards[0].layout.head;
    again.resize(std::size_t(layout.shards[0].layout.total_bytes));
    const auto twin =
        SafetensorsSet::parse(fuzz::file(reinterpret_cast<const std::uint8_t*>(again.data()), again.size()), "twin");
    for (const SafeTensor& t : set.tensors()) {
      const SafeTensor* other = twin.find(t.name);
      PITH_CHECK(other && other->dtype == t.dtype && other->shape == t.shape);
    }
  });
}
