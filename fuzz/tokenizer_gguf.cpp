// Tokenizers from GGUF metadata: every accepted one must encode and decode.
#include "fuzz/tokenizer_use.h"
#include "io/gguf.h"

using namespace pith;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::refuse_or_accept([&] {
    const GgufFile file = GgufFile::parse(fuzz::file(data, size), "fuzz");
    fuzz::use(Tokenizer::from_gguf(file.meta()));
  });
}
