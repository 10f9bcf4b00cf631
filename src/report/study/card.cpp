// A study as the README.md of a model's folder.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "report/human.h"
#include "report/json_values.h"
#include "report/study/pages.h"
#include "report/study/positions.h"
#include "report/study/tables.h"

namespace pith::report {
namespace {

// Every JSON string is a string of YAML.
std::string quoted(const std::string& text) { return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace); }

// In a fence longer than any in the text, so that nothing in it is markup.
std::string fenced(const std::string& text, const std::string& language = {}) {
  std::size_t longest = 2, run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(longest + 1, '`');
  return fence + language + "\n" + text + (text.ends_with('\n') ? "" : "\n") + fence + "\n";
}

// Names and other words in running text: signs of markup stand for themselves.
std::string plain(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\\`*_[]<>#|").find(c) != std::string_view::npos) out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string metrics_of(const Study& study, const ModelRecord& m) {
  std::string out;
  const auto add = [&](const std::string& dataset, const std::string& type, double value) {
    out += fmt::format(
        "  - task: {{type: text-generation}}\n    dataset: {{name: {0}, type: {0}}}\n    metrics:\n"
        "    - {{type: {1}, value: {2:.6g}}}\n",
        quoted(dataset), quoted(type), value);
  };
  if (m.quality && std::isfinite(m.quality->perplexity.mean))
    add(study.text_name, "perplexity", m.quality->perplexity.mean);
  for (const TaskRecord& t : m.tasks) add(t.name, t.metric, t.value);
  return out;
}

std::string front_matter(const Study& study, const std::string& base_model) {
  std::string out = "---\n";
  if (!base_model.empty()) out += fmt::format("base_model: {}\nbase_model_relation: quantized\n", quoted(base_model));
  out += "pipeline_tag: text-generation\ntags: [pith";
  if (std::any_of(study.models.begin(), study.models.end(), [](const auto& m) { return m.container == "gguf"; }))
    out += ", gguf";
  if (!study.models[0].family.empty()) out += ", " + quoted(study.models[0].family);
  out += "]\n";
  std::string index;
  for (const ModelRecord& m : study.models)
    if (const std::string metrics = metrics_of(study, m); !metrics.empty())
      index += fmt::format("- name: {}\n  results:\n{}", quoted(m.name), metrics);
  return out + (index.empty() ? "" : "model-index:\n" + index) + "---\n\n";
}

std::string sentence_of(const Study& study, const ModelRecord& m) {
  std::string out = fmt::format("**{}**: {}", plain(m.name), human_bytes(m.size.file_bytes));
  if (study.base)
    out += fmt::format(", {:.2f} times smaller than {} ({})", compression_ratio(study, m), plain(study.base->name),
                       human_bytes(study.base->size.file_bytes));
  if (!m.method.empty()) out += fmt::format("; {} ({}), {}", plain(m.method), plain(m.category), plain(m.format));
  out += fmt::format("; {:.2f} bits a weight in linear layers, {:.2f} in all.", m.size.linear_bits(), m.size.bits());
  if (m.quality && m.quality->against_base) {
    const DivergenceRecord& d = *m.quality->against_base;
    out += fmt::format(
        " KL divergence from the original {} nats per token; the same likeliest token at {:.1f} % of "
        "places.",
        plus_minus(d.kl.mean, d.kl.half_width, 4), 100 * d.top1.mean);
  }
  return out + "\n";
}

std::string use_of(const ModelRecord& m) {
  const auto path = std::filesystem::path(m.path).lexically_normal();
  const std::string file = (path.has_filename() ? path : path.parent_path()).filename().string();
  if (m.container == "gguf") return fmt::format("llama-cli -m {0}\npith chat {0}\n", file);
  if (m.container == "hf" || m.container == "gptq" || m.container == "awq") return "vllm serve .\npith chat .\n";
  return "pith chat .\n";
}

// One row a role: the mean and the largest relative error of its matrices.
Table role_table(const ModelRecord& m) {
  struct Sum {
    double sum = 0, most = 0;
    dim n = 0, block = -1;
  };
  std::vector<std::pair<std::string, Sum>> roles;
  for (const TensorError& t : m.tensors) {
    auto at = std::find_if(roles.begin(), roles.end(), [&](const auto& r) { return r.first == t.role; });
    if (at == roles.end()) at = roles.insert(at, {t.role, {}});
    Sum& s = at->second;
    s.sum += t.relative;
    ++s.n;
    if (t.relative > s.most) s.most = t.relative, s.block = t.layer;
  }
  Table table{{{"role", false}, {"mean error", true}, {"largest", true}, {"in block", true}}, {}};
  for (const auto& [role, s] : roles)
    table.rows.push_back({role, fmt::format("{:.2f} %", 100 * s.sum / double(s.n)),
                          fmt::format("{:.2f} %", 100 * s.most), s.block >= 0 ? fmt::to_string(s.block) : ""});
  return table;
}

std::string details_of(const ModelRecord& m, bool several) {
  std::string out;
  if (!m.recipe.empty()) out += fenced(m.recipe, "yaml") + "\n";
  if (!m.tensors.empty())
    out += "Errors of the weights, |w - w'| / |w| of each matrix:\n\n" + markdown_table(role_table(m)) + "\n";
  for (const std::string& note : m.notes) out += "Note: " + plain(note) + ".\n\n";
  if (out.empty() || !several) return out;
  return "### " + plain(m.name) + "\n\n" + out;
}

std::string samples_of(const Study& study) {
  std::string out;
  for (std::size_t p = 0; p < study.prompts.size(); ++p) {
    out += "Prompt:\n\n" + fenced(study.prompts[p]) + "\n";
    for (const ModelRecord* m : all_of(study))
      if (p < m->samples.size()) out += plain(m->name) + ":\n\n" + fenced(m->samples[p]) + "\n";
  }
  return out;
}

Table hashes_table(const Study& study) {
  Table table{{{"model", false}, {"bytes", true}, {"XXH3 of the files", false}}, {}};
  for (const ModelRecord* m : all_of(study)) table.rows.push_back({m->name, human_count(m->size.file_bytes), m->hash});
  return table;
}

}  // namespace

std::string model_card(const Study& study, const std::string& base_model) {
  const bool several = study.models.size() > 1;
  std::string out = front_matter(study, base_model);
  out += "# " + plain(several || study.models.empty() ? study.title : study.models[0].name) + "\n\n";
  for (const ModelRecord& m : study.models) out += (several ? "- " : "") + sentence_of(study, m);
  const auto section = [&](const char* title, const std::string& text) {
    if (!text.empty()) out += fmt::format("\n## {}\n\n{}", title, text);
  };
  const auto table = [](const Table& t) { return t.rows.empty() ? std::string() : markdown_table(t); };
  section("Use", fenced(use_of(study.models[0])));
  section("Measured", markdown_table(models_table(study)) + "\nIntervals hold 95 %, with windows as clusters.\n");
  if (several) section("Is it better?", table(pairs_table(study)));
  section("Answers lost and gained", table(flips_table(study)));
  section(study.base ? "Loss added, by place in the window" : "Loss by place in the window",
          table(positions_table(study)));
  section("What they say", samples_of(study));
  std::string made;
  for (const ModelRecord& m : study.models) made += details_of(m, several);
  section("How it was made", made);
  section("How it was measured", markdown_facts(conditions_of(study)) + "\n" + markdown_table(hashes_table(study)));
  return out;
}

}  // namespace pith::report
