#include "report/study/pages.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/human.h"
#include "report/study/charts_of.h"
#include "report/study/tables.h"

namespace pith::report {
namespace {

std::string quality_text(const ModelRecord& m) {
  const auto q = quality_of(m);
  if (!q) return {};
  return fmt::format(fmt::runtime(m.quality->against_base ? "KL {:.4f}" : "perplexity {:.3f}"), q->mean);
}

// What one would ask first.
std::vector<Card> cards_of(const Study& study) {
  std::vector<Card> cards;
  const auto best = [&](auto value) {
    const ModelRecord* found = nullptr;
    for (const ModelRecord& m : study.models)
      if (value(m) > 0 && (!found || value(m) > value(*found))) found = &m;
    return found;
  };
  if (const auto* m =
          best([](const auto& r) { return quality_of(r) ? 1 / std::max(quality_of(r)->mean, 1e-12) : 0.0; }))
    cards.push_back({"closest to the original", m->name, quality_text(*m) + ", " + human_bytes(m->size.file_bytes)});
  if (const auto* m = best([](const auto& r) { return 1 / double(std::max<dim>(r.size.file_bytes, 1)); }))
    cards.push_back({"smallest", human_bytes(m->size.file_bytes),
                     m->name + (quality_text(*m).empty() ? "" : ", ") + quality_text(*m)});
  if (const auto* m = best([](const auto& r) { return r.speed ? r.speed->decode : 0.0; }))
    cards.push_back(
        {"fastest",
         fmt::format(fmt::runtime(m->speed->decode < 100 ? "{:.1f} tokens/s" : "{:.0f} tokens/s"), m->speed->decode),
         m->name + (quality_text(*m).empty() ? "" : ", ") + quality_text(*m)});
  if (study.base)
    cards.push_back({"the original", human_bytes(study.base->size.file_bytes),
                     study.base->quality
                         ? fmt::format("{}, perplexity {:.3f}", study.base->name, study.base->quality->perplexity.mean)
                         : study.base->name});
  return cards;
}

void add_samples(Page& page, const Study& study) {
  for (std::size_t p = 0; p < study.prompts.size(); ++p) {
    page.quote(study.prompts[p]);
    std::vector<Answer> answers;
    for (const ModelRecord* m : all_of(study))
      if (p < m->samples.size()) answers.push_back({m->name, m->samples[p]});
    page.answers(answers);
  }
}

void add_manifest(Page& page, const Study& study) {
  page.facts(conditions_of(study));
  Table table{{{"model", false},
               {"family", false},
               {"format of linears", false},
               {"parameters", true},
               {"activations", false},
               {"keys, values", false},
               {"XXH3 of the files", false}},
              {}};
  for (const ModelRecord* m : all_of(study))
    table.rows.push_back(
        {m->name, m->family, m->format, human_parameters(m->size.parameters), m->activations, m->kv, m->hash});
  page.table(table, "The models");
  for (const ModelRecord& m : study.models)
    if (!m.recipe.empty()) page.preformatted("Recipe of " + m.name, m.recipe);
}

bool any_samples(const Study& study) {
  return std::any_of(study.models.begin(), study.models.end(), [](const auto& m) { return !m.samples.empty(); });
}
bool any_tasks(const Study& study) {
  return std::any_of(study.models.begin(), study.models.end(), [](const auto& m) { return !m.tasks.empty(); });
}
bool any_layers(const Study& study) {
  return std::any_of(study.models.begin(), study.models.end(), [](const auto& m) { return m.layers.has_value(); });
}

void add_results(Page& page, const Study& study, const std::string& prefix, const std::string& of) {
  page.section(prefix + "overview", "At a glance" + of);
  page.cards(cards_of(study));
  add_size_chart(page, study, prefix);
  add_speed_chart(page, study, prefix);
  page.section(prefix + "all", "All numbers" + of,
               "Intervals hold 95 %, with windows as clusters. Ratios are to the first row.");
  page.table(models_table(study), "All models");
  if (const Table pairs = pairs_table(study); !pairs.rows.empty()) {
    page.section(prefix + "pairs", "Is it better?" + of,
                 "Differences on the same windows, first less second, with 95 % intervals; p from random signs of the "
                 "windows' differences, adjusted for the number of pairs (Holm).");
    page.table(pairs, "Pairs of models");
  }
  if (any_tasks(study)) {
    page.section(prefix + "taskpart", "Tasks" + of);
    add_task_chart(page, study, prefix);
    if (const Table flips = flips_table(study); !flips.rows.empty()) page.table(flips, "Answers lost and gained");
  }
  if (any_layers(study)) {
    page.section(prefix + "inside", "Inside" + of);
    add_layer_map(page, study, prefix);
    add_tensor_maps(page, study, prefix);
    add_position_chart(page, study, prefix);
    add_histograms(page, study, prefix);
  }
  if (any_samples(study)) {
    page.section(prefix + "samples", "What they say" + of, "The likeliest token each time, from the same prompt.");
    add_samples(page, study);
  }
}

void add_survey(Page& page, std::span<const Study> studies) {
  page.section("survey", "As the survey tabulates it",
               "The columns of the tables of Zhu et al., A Survey on Model Compression for Large Language Models, with "
               "this machine's numbers.");
  if (const Table t = quantization_table(studies); !t.rows.empty()) page.table(t, "Quantization");
  if (const Table t = pruning_table(studies); !t.rows.empty()) page.table(t, "Pruning");
}

void add_origin(Page& page, const Study& study, const std::string& prefix, const std::string& of) {
  if (!study.missing.empty()) {
    page.section(prefix + "missing", "What is missing" + of, "It was to be measured and is not.");
    page.table(missing_table(study), "What is missing");
  }
  page.section(prefix + "manifest", "How it was measured" + of);
  add_manifest(page, study);
}

std::string lead_of(const Study& study) {
  std::string lead = fmt::format("{} model{}", study.models.size(), study.models.size() == 1 ? "" : "s");
  if (study.base) lead += " against " + study.base->name;
  if (!study.protocol.empty()) lead += fmt::format(", {} on {}", study.protocol, study.text_name);
  return lead + fmt::format("; {}, {} processors.", study.machine.processor, study.machine.processors);
}

}  // namespace

std::string study_page(std::span<const Study> studies, bool survey) {
  Page page(studies[0].title, lead_of(studies[0]));
  const auto each = [&](const auto& add) {
    for (std::size_t i = 0; i < studies.size(); ++i) {
      const bool several = studies.size() > 1;
      add(page, studies[i], several ? fmt::format("m{}-", i) : "", several ? ": " + reference_of(studies[i]).name : "");
    }
  };
  each(add_results);
  if (survey) add_survey(page, studies);
  each(add_origin);
  return page.done();
}

}  // namespace pith::report
