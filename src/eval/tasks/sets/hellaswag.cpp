// HellaSwag (Zellers et al. 2019): how a description of everyday life goes on.
#include "eval/tasks/sets/forms.h"

namespace pith {
namespace {

// Six lines an item, as llama-perplexity reads them: context, the number of the right ending, four endings.
TaskData six_lines(TaskSource& source) {
  const std::string text = source.files.read({"hellaswag_val_full.txt"});
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    cut_ending(lines.back(), "\r");
    at = end + 1;
  }
  if (lines.empty() || lines.size() % 6 != 0)
    throw input_error(source.files.last(), "expected six lines an item, got {} lines", lines.size());
  TaskData data;
  for (std::size_t i = 0; i < lines.size(); i += 6) {
    Document d;
    d.context = lines[i];
    const std::string& gold = lines[i + 1];
    if (gold.size() != 1 || gold[0] < '0' || gold[0] > '3')
      throw input_error(source.files.last(), "expected 0 ... 3 in line {}, got {} bytes", i + 2, gold.size());
    d.gold = gold[0] - '0';
    d.choices.assign(lines.begin() + std::ptrdiff_t(i) + 2, lines.begin() + std::ptrdiff_t(i) + 6);
    data.documents.push_back(std::move(d));
  }
  return data;
}

}  // namespace

extern const Task hellaswag_task;
const Task hellaswag_task = {
    .name = "hellaswag",
    .summary = "the right one of four endings",
    .form = "lm-evaluation-harness, but the sentence to be completed begins as in the file, not with a capital",
    .metrics = {&metric_acc, &metric_acc_norm, &metric_acc_bytes},
    .load = six_lines,
};

}  // namespace pith
