// Results as JSON text: stable snake_case keys, numbers as numbers, what is not finite as null.
#pragma once
#include <string>

#include "compress/pipeline.h"
#include "eval/perplexity.h"

namespace pith::report {

std::string to_json(const Preflight& preflight);
std::string to_json(const Outcome& outcome);
std::string to_json(const EvalResult& result);
std::string to_json(const Comparison& comparison);

}  // namespace pith::report
