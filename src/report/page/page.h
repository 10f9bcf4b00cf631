// One self-contained HTML page: its style and drawings are in it, it loads nothing and needs no script.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "report/chart/charts.h"
#include "report/table.h"

namespace pith::report {

extern const std::string_view page_style;  // of style.css

struct Card {
  std::string what, value, note;
};
struct Answer {
  std::string from, text;
};

// All text is escaped here. The first column of a table heads its rows.
class Page {
 public:
  Page(std::string title, std::string lead) : title_(std::move(title)), lead_(std::move(lead)) {}
  void section(std::string_view id, std::string_view heading, std::string_view lead = {});  // ends the one before
  void heading(std::string_view text);
  void paragraph(std::string_view text);
  void cards(const std::vector<Card>& cards);
  void table(const Table& table, std::string_view caption);
  void facts(const Facts& facts);
  void quote(std::string_view text);
  void answers(const std::vector<Answer>& answers);
  void preformatted(std::string_view summary, std::string_view text);  // folded
  void begin_fold(std::string_view summary);
  void end_fold();
  // draw: called with the frame of a wide drawing and again with that of a narrow one, for phones. behind: the numbers
  // that are drawn, folded below; without columns: none.
  void figure(std::string_view id, std::string_view title, std::string_view caption,
              const std::function<std::string(const ChartFrame&)>& draw, const Table& behind);
  std::string done();

 private:
  std::string title_, lead_, body_;
  std::vector<std::pair<std::string, std::string>> sections_;  // id, heading
};

}  // namespace pith::report
