// tokenizer.json: every accepted tokenizer must encode and decode.
#include "fuzz/tokenizer_use.h"

using namespace pith;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::refuse_or_accept([&] { fuzz::use(Tokenizer::from_json(fuzz::text(data, size))); });
}
