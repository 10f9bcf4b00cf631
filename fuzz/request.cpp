// Requests of the API: JSON from the network.
#include "fuzz/fuzz.h"
#include "serve/http/openai_request.h"

using namespace pith;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::refuse_or_accept([&] { parse_completion(fuzz::text(data, size)); });
  return fuzz::refuse_or_accept([&] { parse_chat(fuzz::text(data, size)); });
}
