// Counts as Prometheus reads them (its text format, version 0.0.4).
#pragma once
#include <string>
#include <vector>

#include "serve/http/api.h"

namespace pith {

std::string metrics_text(const std::vector<ServedModel>& models);

}  // namespace pith
