// What the command line prints.
#pragma once
#include <string>

#include "compress/pipeline.h"
#include "eval/perplexity.h"
#include "report/table.h"

namespace pith::report {

// Tensors of one role, shape, formats and reason share a row, in the order of the model.
Table preflight_table(const Preflight& preflight);
std::string preflight_text(const Preflight& preflight);  // the table, then sizes, memory, time and fallbacks
std::string outcome_text(const Outcome& outcome);        // a few lines: sizes, errors, time, memory

Facts eval_facts(const EvalResult& result);
Facts divergence_facts(const Divergence& divergence);
std::string eval_text(const EvalResult& result);
std::string comparison_text(const Comparison& comparison);

}  // namespace pith::report
