// Numbers as people read them.
#pragma once
#include <string>

#include "core/base.h"

namespace pith::report {

std::string human_bytes(dim bytes);                                    // "91.2 MB": three digits, powers of 1000
std::string human_seconds(double s);                                   // "340 ms", "12.3 s", "2 min 05 s", "1 h 02 min"
std::string human_count(dim n);                                        // "134,515,008"
std::string human_parameters(dim n);                                   // "134.5 M"
std::string human_operations(double n);                                // "269 M", "1.35 G": powers of 1000
std::string plus_minus(double mean, double half_width, int decimals);  // "24.50 ± 0.31"

}  // namespace pith::report
