// Reading back what was written.
#pragma once
#include "compress/prepare.h"

namespace pith {

// Opens the staged files as any reader would and compares with the plan: every tensor's place, size, shape and
// format; some rows of each must decode to finite numbers. Throws Error(environment) that names the first
// tensor that is not as planned.
void verify(const std::filesystem::path& folder, const Model& source, const Prepared& prepared);

}  // namespace pith
