// Names from files as they may be shown in messages.
#pragma once
#include <string>
#include <string_view>

namespace pith {

// In single quotes, at most 80 bytes of it, control characters and broken UTF-8 as \xNN: a hostile name must not
// drive the reader's terminal.
std::string printable(std::string_view name);

}  // namespace pith
