// JSON: what is accepted must be what the library itself reads, and survive being written.
#include "io/json.h"

#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"

using namespace pith;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::refuse_or_accept([&] {
    const nlohmann::json value = parse_json(fuzz::text(data, size), "fuzz");
    PITH_CHECK(value == nlohmann::json::parse(fuzz::text(data, size)));
    const std::string written = value.dump();
    PITH_CHECK(parse_json(written, "again").dump() == written);
  });
}
