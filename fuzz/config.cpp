// config.json of every family: what is accepted must be writable again or be refused in words.
#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "io/json.h"
#include "model/config_hf.h"

using namespace pith;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::refuse_or_accept([&] {
    const nlohmann::json config = parse_json(fuzz::text(data, size), "fuzz");
    for (const Arch* arch : all_archs())
      fuzz::refuse_or_accept([&] { config_to_hf(config_from_hf(config, *arch), *arch); });
  });
}
