// GGUF: every accepted file must keep its tensors inside, and its header must come back when written again.
#include "io/gguf.h"

#include "fuzz/fuzz.h"

using namespace pith;

namespace {

void read_all_ways(const GgufMeta& meta, const std::string& key) {
  fuzz::refuse_or_accept([&] { meta.get_int(key); });
  fuzz::refuse_or_accept([&] { meta.get_float(key); });
  fuzz::refuse_or_accept([&] { meta.find_bool(key, false); });
  fuzz::refuse_or_accept([&] { meta.get_string(key); });
  fuzz::refuse_or_accept([&] { meta.get_strings(key); });
  fuzz::refuse_or_accept([&] { meta.find_ints(key); });
  fuzz::refuse_or_accept([&] { meta.find_floats(key); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::refuse_or_accept([&] {
    const GgufFile file = GgufFile::parse(fuzz::file(data, size), "fuzz");
    for (const GgufTensor& t : file.tensors()) {
      PITH_CHECK(file.find(t.name) == &t);
      fuzz::touch(file.data(t), t.size_bytes);
    }
    for (const auto& [key, value] : file.meta().entries()) {
      PITH_CHECK(file.meta().find(key) == &value);
      read_all_ways(file.meta(), key);
    }
    const GgufValue* alignment = file.meta().find("general.alignment");
    if (alignment && std::get<std::uint32_t>(*alignment) > 4096) return;  // padding only
    const FileLayout layout = gguf_layout(file.meta(), file.tensors());
    std::string again = layout.head;
    again.resize(std::size_t(layout.total_bytes));
    const GgufFile twin =
        GgufFile::parse(fuzz::file(reinterpret_cast<const std::uint8_t*>(again.data()), again.size()), "twin");
    PITH_CHECK(twin.tensors().size() == file.tensors().size());
    PITH_CHECK(gguf_layout(twin.meta(), twin.tensors()).head == layout.head);  // by bytes: NaN is not equal to itself
    for (std::size_t i = 0; i < twin.tensors().size(); ++i)
      PITH_CHECK(twin.tensors()[i].shape == file.tensors()[i].shape);
  });
}
