#include "model/arch.h"

#include <algorithm>

namespace pith {

#define PITH_ARCH(name) extern const Arch arch_##name;
#include "model/archs.def"
#undef PITH_ARCH

static const Arch* const kArchs[] = {
#define PITH_ARCH(name) &arch_##name,
#include "model/archs.def"
#undef PITH_ARCH
};

std::span<const Arch* const> all_archs() { return kArchs; }

const Arch* find_arch(std::string_view gguf_name, bool experts) {
  const Arch* found = nullptr;
  for (const Arch* arch : kArchs)
    if (arch->name == gguf_name && (!found || arch->experts == experts)) found = arch;
  return found;
}

const Arch* find_arch_of_hf(std::string_view model_type) {
  for (const Arch* arch : kArchs)
    if (std::find(arch->hf_model_types.begin(), arch->hf_model_types.end(), model_type) != arch->hf_model_types.end())
      return arch;
  return nullptr;
}

}  // namespace pith
