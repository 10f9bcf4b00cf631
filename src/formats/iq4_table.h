// The values of the codes of iq4_nl and iq4_xs.
#pragma once

namespace pith {

inline constexpr float kIq4Table[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

}  // namespace pith
