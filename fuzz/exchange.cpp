// Packed layers of Hugging Face folders: the object that describes them, a zero byte, then a safetensors file. What is
// accepted must decode within its buffers.
#include <nlohmann/json.hpp>

#include "formats/format.h"
#include "fuzz/fuzz.h"
#include "io/json.h"
#include "model/exchange/checkpoint.h"

using namespace pith;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::refuse_or_accept([&] {
    const std::string_view all = fuzz::text(data, size), description = all.substr(0, all.find('\0'));
    if (description.size() == all.size()) return;
    const nlohmann::json config = {{"quantization_config", parse_json(description, "fuzz")}};
    const std::size_t at = description.size() + 1;
    const SafetensorsSet set = SafetensorsSet::parse(fuzz::file(data + at, size - at), "fuzz");
    const Unpacked unpacked = unpack_layers(config, "", set);
    for (const ModelTensor& t : unpacked.tensors) {
      const dim bytes = row_bytes(*t.weight.format, t.weight.cols);
      std::vector<float> row(static_cast<std::size_t>(t.weight.cols));
      for (dim r = 0; r < t.weight.rows; ++r)
        t.weight.format->decode(*t.weight.format, t.weight.data + r * bytes, t.weight.cols, row.data());
    }
  });
}
