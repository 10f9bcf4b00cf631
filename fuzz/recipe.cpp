// Recipes: text from people.
#include "compress/recipe_file.h"
#include "fuzz/fuzz.h"

using namespace pith;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::refuse_or_accept([&] { parse_recipe(std::string(fuzz::text(data, size)), "fuzz", "."); });
}
