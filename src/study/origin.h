// What pith did to a model that it wrote: the part of a record that the model's own files do not tell.
#pragma once
#include "compress/pipeline.h"
#include "compress/recipe_file.h"
#include "report/study/record.h"

namespace pith {

// Category, method, recipe, and the errors of the tensors.
void add_origin(const RecipeFile& recipe, const Outcome& outcome, report::ModelRecord& record);

// The same from the report that lies beside the model at record.path. Nothing where there is none; a note where it is
// of another file or cannot be read.
void add_origin_from_report(report::ModelRecord& record);

// The recipe as YAML with the names of its files in place of their paths: for reports that others read.
std::string shown_recipe(const RecipeFile& recipe);

// As the survey's tables name it: "weight-only quantization", "semi-structured pruning", "low-rank factorization".
std::string category_of(const Recipe& recipe);
bool takes_away(const Recipe& recipe);  // prunes, or leaves factors of a lower rank

}  // namespace pith
