// One table, as aligned text, Markdown, CSV or LaTeX.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace pith::report {

struct Column {
  std::string title;
  bool right = false;  // numbers
};

struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // a cell a column
};

// Columns two spaces apart, no space at line ends; widths count characters of UTF-8, not bytes.
std::string text_table(const Table& table);
std::string markdown_table(const Table& table);
std::string csv_table(const Table& table);    // RFC 4180: quoted where it must be, lines end in \n
std::string latex_table(const Table& table);  // a tabular with the rules of booktabs; special characters escaped

enum class TextForm { text, csv, latex, markdown };
TextForm text_form_or_throw(std::string_view name);  // Error(input) that lists the names
std::string table_as(TextForm form, const Table& table);

// "name   value" lines with the values in one column.
using Facts = std::vector<std::pair<std::string, std::string>>;
std::string text_facts(const Facts& facts);
std::string markdown_facts(const Facts& facts);  // a two-column table

}  // namespace pith::report
