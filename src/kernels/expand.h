#pragma once

namespace pith {

bool has_expand();  // AVX512-VBMI2 and VNNI are used; PITH_FORCE_ISA turns that off

}  // namespace pith
