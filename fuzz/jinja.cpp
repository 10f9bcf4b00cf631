// Jinja: every template ends, within its limits, in a text or a refusal.
#include "io/jinja/jinja.h"

#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "io/unicode.h"

using namespace pith;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::refuse_or_accept([&] {
    jinja::Limits limits;
    limits.max_steps = 20'000;
    limits.max_output_bytes = 1 << 16;
    limits.max_memory_bytes = 1 << 22;
    const nlohmann::ordered_json variables = {
        {"messages", {{{"role", "user"}, {"content", "Hi, Größe!"}}, {{"role", "assistant"}, {"content", "Yes."}}}},
        {"tools", {{{"name", "f"}, {"n", 1.5}}}},
        {"bos_token", "<s>"}};
    const std::string out = jinja::render(fuzz::text(data, size), variables, std::tm{}, limits);
    PITH_CHECK(valid_utf8_prefix(out) == out.size());
    PITH_CHECK(dim(out.size()) <= limits.max_output_bytes);
  });
}
