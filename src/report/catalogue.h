// The tables of formats, methods, tasks, recipes and pipelines of data, for the command line and the documents.
#pragma once
#include <string>
#include <string_view>

namespace pith::report {

std::string formats_text();
std::string formats_markdown();
std::string formats_json();
std::string methods_text();
std::string methods_markdown();
std::string methods_json();
std::string tasks_text();
std::string tasks_markdown();
std::string tasks_json();
std::string recipes_text();
std::string recipes_json();
std::string pipelines_text();
std::string pipelines_markdown();
std::string pipelines_json();
std::string recipe_yaml(std::string_view preset);  // Error(input)

}  // namespace pith::report
