// Sizes as people write them.
#pragma once
#include <string>

#include "core/base.h"

namespace pith {

// "4.5GB", "900MiB", "1000000": bytes. Error(input) otherwise.
dim parse_bytes(const std::string& text);

}  // namespace pith
