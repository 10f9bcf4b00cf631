// Items of tasks, a line each, as lm-evaluation-harness logs them.
#include <nlohmann/json.hpp>

#include "eval/tasks/text_scores.h"
#include "io/sha256.h"
#include "report/eval/tasks.h"

namespace pith::report {
namespace {

using nlohmann::ordered_json;

// (context, continuation) of each request.
std::vector<std::pair<std::string, std::string>> requests_of(const ItemResult& item) {
  std::vector<std::pair<std::string, std::string>> requests;
  const std::size_t pairs = std::max<std::size_t>({item.prompts.size(), item.choices.size(), 1});
  for (std::size_t i = 0; i < pairs; ++i)
    requests.emplace_back(item.prompts.empty() ? item.prompt : item.prompts[i], item.choices.empty() ? std::string()
                                                                                : item.choices.size() > 1
                                                                                    ? item.choices[i]
                                                                                    : item.choices[0]);
  return requests;
}

std::string target_of(const TaskResult& r, const ItemResult& item) {
  if (r.output_type == "multiple_choice" && item.prompts.empty()) return std::to_string(item.gold);
  if (r.output_type == "loglikelihood" && !item.choices.empty()) return item.choices[0];
  return item.target;
}

std::string filtered(const std::string& text, const std::string& filter) {
  if (filter == "strict-match") return strict_number(text);
  if (filter == "flexible-extract") return last_number(text);
  return text;
}

void add_responses(ordered_json& line, const TaskResult& r, const ItemResult& item, const std::string& filter) {
  ordered_json raw = ordered_json::array(), taken = raw;
  for (const ChoiceScore& s : item.scores) {
    const ordered_json pair = {ordered_json(s.logprob).dump(), s.greedy ? "True" : "False"};
    raw.push_back(ordered_json::array({pair}));
    taken.push_back(pair);
  }
  if (r.output_type == "generate_until") {
    raw.push_back(ordered_json::array({item.text}));
    taken.push_back(filtered(item.text, filter));
  }
  line["resps"] = std::move(raw);
  line["filtered_resps"] = std::move(taken);
}

ordered_json sample(const TaskResult& r, const ItemResult& item, const std::string& filter) {
  const auto requests = requests_of(item);
  const std::string target = target_of(r, item);
  ordered_json line = {{"doc_id", item.index}};
  line["doc"] = {{"id", item.id}, {"group", item.group}, {"target", item.target}, {"gold", item.gold}};
  line["target"] = target;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    ordered_json& arguments = line["arguments"]["gen_args_" + std::to_string(i)];
    arguments["arg_0"] = requests[i].first;
    if (!item.choices.empty()) arguments["arg_1"] = requests[i].second;
  }
  add_responses(line, r, item, filter);
  line["filter"] = filter;
  line["metrics"] = ordered_json::array();
  for (const TaskMetric& m : r.metrics)
    if (m.filter == filter) line["metrics"].push_back(m.name);
  line["doc_hash"] = item.hash;
  line["prompt_hash"] = sha256_hex(requests[0].first);
  line["target_hash"] = sha256_hex(target);
  for (std::size_t m = 0; m < r.metrics.size(); ++m)
    if (r.metrics[m].filter == filter) line[r.metrics[m].name] = item.values[m];
  line["task"] = r.name;
  line["answer"] = item.answer;
  line["correct"] = item.correct;
  return line;
}

}  // namespace

std::string samples_jsonl(const TaskResult& r) {
  std::string out;
  std::vector<std::string> filters;
  for (const TaskMetric& m : r.metrics)
    if (std::find(filters.begin(), filters.end(), m.filter) == filters.end()) filters.push_back(m.filter);
  for (const ItemResult& item : r.items)
    for (const std::string& filter : filters)
      out += sample(r, item, filter).dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  return out;
}

}  // namespace pith::report
