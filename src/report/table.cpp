#include "report/table.h"

#include <algorithm>

#include "core/error.h"

namespace pith::report {
namespace {

std::size_t width_of(const std::string& text) {
  return std::size_t(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::string space(width - std::min(width, width_of(text)), ' ');
  return right ? space + text : text + space;
}

std::vector<std::size_t> widths_of(const Table& table) {
  std::vector<std::size_t> widths;
  for (const Column& column : table.columns) widths.push_back(width_of(column.title));
  for (const auto& row : table.rows) {
    PITH_CHECK(row.size() == table.columns.size());
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  return widths;
}

std::vector<std::string> titles_of(const Table& table) {
  std::vector<std::string> titles;
  for (const Column& column : table.columns) titles.push_back(column.title);
  return titles;
}

std::string escaped(const std::string& cell) {
  std::string out;
  for (const char c : cell) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string csv_cell(const std::string& cell) {
  if (cell.find_first_of(",\"\n\r") == std::string::npos) return cell;
  std::string out = "\"";
  for (const char c : cell) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + '"';
}

std::string latex_cell(const std::string& cell) {
  std::string out;
  for (const char c : cell) {
    if (c == '\\') {
      out += "\\textbackslash{}";
    } else if (c == '~' || c == '^') {
      out += std::string("\\") + c + "{}";
    } else if (std::string_view("&%$#_{}").find(c) != std::string_view::npos) {
      out += std::string("\\") + c;
    } else {
      out += c == '\n' ? ' ' : c;
    }
  }
  for (const auto& [sign, name] : {std::pair("±", "$\\pm$"), std::pair("Δ", "$\\Delta$")})
    for (std::size_t at = 0; (at = out.find(sign, at)) != std::string::npos;) out.replace(at, 2, name);
  return out;
}

}  // namespace

std::string text_table(const Table& table) {
  const auto widths = widths_of(table);
  std::string out;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) line += "  ";
      line += padded(cells[i], widths[i], table.columns[i].right);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  add_line(titles_of(table));
  for (const auto& row : table.rows) add_line(row);
  return out;
}

std::string markdown_table(const Table& table) {
  std::string out;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    PITH_CHECK(cells.size() == table.columns.size());
    out += '|';
    for (const auto& cell : cells) out += ' ' + escaped(cell) + " |";
    out += '\n';
  };
  add_line(titles_of(table));
  out += '|';
  for (const Column& column : table.columns) out += column.right ? "---:|" : "---|";
  out += '\n';
  for (const auto& row : table.rows) add_line(row);
  return out;
}

std::string csv_table(const Table& table) {
  std::string out;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    PITH_CHECK(cells.size() == table.columns.size());
    for (std::size_t i = 0; i < cells.size(); ++i) out += (i > 0 ? "," : "") + csv_cell(cells[i]);
    out += '\n';
  };
  add_line(titles_of(table));
  for (const auto& row : table.rows) add_line(row);
  return out;
}

std::string latex_table(const Table& table) {
  std::string out = "\\begin{tabular}{";
  for (const Column& column : table.columns) out += column.right ? 'r' : 'l';
  out += "}\n\\toprule\n";
  const auto add_line = [&](const std::vector<std::string>& cells) {
    PITH_CHECK(cells.size() == table.columns.size());
    for (std::size_t i = 0; i < cells.size(); ++i) out += (i > 0 ? " & " : "") + latex_cell(cells[i]);
    out += " \\\\\n";
  };
  add_line(titles_of(table));
  out += "\\midrule\n";
  for (const auto& row : table.rows) add_line(row);
  return out + "\\bottomrule\n\\end{tabular}\n";
}

TextForm text_form_or_throw(std::string_view name) {
  if (name == "text") return TextForm::text;
  if (name == "csv") return TextForm::csv;
  if (name == "latex") return TextForm::latex;
  if (name == "markdown") return TextForm::markdown;
  throw input_error("format", "expected text, csv, latex or markdown, got '{}'", name);
}

std::string table_as(TextForm form, const Table& table) {
  switch (form) {
    case TextForm::csv:
      return csv_table(table);
    case TextForm::latex:
      return latex_table(table);
    case TextForm::markdown:
      return markdown_table(table);
    case TextForm::text:
      break;
  }
  return text_table(table);
}

std::string text_facts(const Facts& facts) {
  std::size_t width = 0;
  for (const auto& [name, value] : facts) width = std::max(width, width_of(name));
  std::string out;
  for (const auto& [name, value] : facts) out += padded(name, width, false) + "  " + value + '\n';
  return out;
}

std::string markdown_facts(const Facts& facts) {
  Table table{.columns = {{"", false}, {"", false}}, .rows = {}};
  for (const auto& [name, value] : facts) table.rows.push_back({name, value});
  return markdown_table(table);
}

}  // namespace pith::report
