#include "report/page/page.h"

#include <fmt/format.h>

#include "core/error.h"

namespace pith::report {
namespace {

std::string cell(const Table& table, const std::vector<std::string>& row, std::size_t c) {
  const char* right = table.columns[c].right ? " class=\"right\"" : "";
  if (c == 0) return fmt::format("<th scope=\"row\"{}>{}</th>", right, escaped(row[c]));
  return fmt::format("<td{}>{}</td>", right, escaped(row[c]));
}

std::string table_html(const Table& table, std::string_view caption) {
  std::string out = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table><thead><tr>", escaped(caption));
  for (const Column& c : table.columns)
    out += fmt::format("<th scope=\"col\"{}>{}</th>", c.right ? " class=\"right\"" : "", escaped(c.title));
  out += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    PITH_CHECK(row.size() == table.columns.size());
    out += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c) out += cell(table, row, c);
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

}  // namespace

void Page::section(std::string_view id, std::string_view heading, std::string_view lead) {
  if (!sections_.empty()) body_ += "</section>\n";
  sections_.emplace_back(id, heading);
  body_ += fmt::format("<section id=\"{0}\" aria-labelledby=\"{0}-h\"><h2 id=\"{0}-h\">{1}</h2>\n", escaped(id),
                       escaped(heading));
  if (!lead.empty()) body_ += fmt::format("<p class=\"lead\">{}</p>\n", escaped(lead));
}

void Page::heading(std::string_view text) { body_ += fmt::format("<h3>{}</h3>\n", escaped(text)); }
void Page::paragraph(std::string_view text) { body_ += fmt::format("<p>{}</p>\n", escaped(text)); }
void Page::quote(std::string_view text) { body_ += fmt::format("<blockquote>{}</blockquote>\n", escaped(text)); }

void Page::cards(const std::vector<Card>& cards) {
  body_ += "<div class=\"cards\">\n";
  for (const Card& c : cards)
    body_ += fmt::format(
        "<div class=\"card\"><div class=\"what\">{}</div><div class=\"value\">{}</div><div "
        "class=\"note\">{}</div></div>\n",
        escaped(c.what), escaped(c.value), escaped(c.note));
  body_ += "</div>\n";
}

void Page::table(const Table& table, std::string_view caption) { body_ += table_html(table, caption); }

void Page::facts(const Facts& facts) {
  body_ += "<dl>\n";
  for (const auto& [name, value] : facts)
    body_ += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(value));
  body_ += "</dl>\n";
}

void Page::answers(const std::vector<Answer>& answers) {
  body_ += "<div class=\"answers\">\n";
  for (const Answer& a : answers)
    body_ += fmt::format("<div class=\"answer\"><b>{}</b><p>{}</p></div>\n", escaped(a.from), escaped(a.text));
  body_ += "</div>\n";
}

void Page::preformatted(std::string_view summary, std::string_view text) {
  begin_fold(summary);
  body_ += fmt::format("<pre>{}</pre>", escaped(text));
  end_fold();
}

void Page::begin_fold(std::string_view summary) {
  body_ += fmt::format("<details><summary>{}</summary>\n", escaped(summary));
}
void Page::end_fold() { body_ += "</details>\n"; }

void Page::figure(std::string_view id, std::string_view title, std::string_view caption,
                  const std::function<std::string(const ChartFrame&)>& draw, const Table& behind) {
  const ChartFrame wide{.id = std::string(id), .title = std::string(title), .description = std::string(caption)};
  ChartFrame narrow = wide;
  narrow.id += "-n";
  narrow.width = 350;
  narrow.height = 330;
  body_ += fmt::format(
      "<figure>\n<h3>{}</h3>\n<div class=\"wide\">{}</div>\n<div "
      "class=\"narrow\">{}</div>\n<figcaption>{}</figcaption>\n",
      escaped(title), draw(wide), draw(narrow), escaped(caption));
  if (!behind.columns.empty()) {
    begin_fold("The numbers");
    body_ += table_html(behind, title);
    end_fold();
  }
  body_ += "</figure>\n";
}

std::string Page::done() {
  if (!sections_.empty()) body_ += "</section>\n";
  std::string links;
  for (const auto& [id, heading] : sections_)
    links += fmt::format("<a href=\"#{}\">{}</a>\n", escaped(id), escaped(heading));
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<title>{0}</title>\n<style>\n{1}</style>\n</head>\n<body>\n<header class=\"top\"><div>\n<h1>{0}</h1>\n<p "
      "class=\"lead\">{2}</p>\n<nav aria-label=\"Contents\">\n{3}</nav>\n</div></header>\n<main>\n{4}"
      "<footer>Made by pith {5}. Every number was measured on the files named here.</footer>\n</main>\n</body>\n"
      "</html>\n",
      escaped(title_), page_style, escaped(lead_), links, body_, PITH_VERSION);
}

}  // namespace pith::report
