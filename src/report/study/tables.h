// A study as tables: for people, and with plain numbers for programs and papers.
#pragma once
#include <string>
#include <string_view>

#include "report/study/record.h"
#include "report/table.h"

namespace pith::report {

Table models_table(const Study& study);   // a row a model; only columns with something in them
Table numbers_table(const Study& study);  // the same with every number in a cell of its own, for CSV
Table pairs_table(const Study& study);    // is one better than the other?
Table flips_table(const Study& study);    // answers to tasks lost and gained
Table missing_table(const Study& study);  // what was to be measured and is not, and why

// The two tables of "A Survey on Model Compression for Large Language Models" (Zhu et al. 2024), with these numbers.
Table quantization_table(std::span<const Study> studies);
Table pruning_table(std::span<const Study> studies);

std::string study_report(const Study& study, TextForm form);
std::string survey_report(std::span<const Study> studies, TextForm form);
// Each study's, and the survey's tables; as CSV one table with the numbers of all.
std::string sweep_report(std::span<const Study> studies, TextForm form);
Table sweep_numbers_table(std::span<const Study> studies);
std::string study_json(const Study& study);
std::string sweep_json(std::span<const Study> studies);

// What the protocol, the text and the machine were, in lines.
Facts conditions_of(const Study& study);

}  // namespace pith::report
