// What `pith imatrix` says of a file of importance.
#pragma once
#include <string>

#include "compress/calibrate/measure_importance.h"

namespace pith::report {

std::string importance_text(const MeasuredImportance& measured, const std::string& file);
// With the mean square of each matrix's inputs over its columns, and how many inputs it saw.
std::string importance_json(const MeasuredImportance& measured, const std::string& file);

}  // namespace pith::report
