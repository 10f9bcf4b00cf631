// The same as json values, for reports that hold them. Heavy: for this module's sources only.
#pragma once
#include <nlohmann/json.hpp>

#include "compress/pipeline.h"
#include "eval/perplexity.h"

namespace pith::report {

using Json = nlohmann::ordered_json;

Json json_of(const Interval& interval);
Json json_of(const Preflight& preflight);
Json json_of(const Outcome& outcome);  // its preflight included
Json json_of(const EvalResult& result);
Json json_of(const Divergence& divergence);
Json json_of(const Comparison& comparison);
std::string text_of(const Json& value);  // indented by two; bytes that are not UTF-8 are replaced

}  // namespace pith::report
