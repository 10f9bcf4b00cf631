#include <cmath>

#include "report/json_values.h"
#include "report/study/record_json.h"
#include "report/study/statistics.h"
#include "report/study/tables.h"

namespace pith::report {
namespace {

Json json_of(const PairedTest& t, double adjusted) {
  const bool bounded = std::isfinite(t.low);
  return {{"difference", t.difference},
          {"low_95", bounded ? Json(t.low) : Json(nullptr)},
          {"high_95", bounded ? Json(t.high) : Json(nullptr)},
          {"p_value", t.p_value},
          {"p_value_holm", adjusted},
          {"windows", t.windows}};
}

// A record with what only the whole study knows of it.
Json json_in(const Study& study, const ModelRecord& m) {
  Json json = json_of(m);
  json["size"]["bits_per_weight"] = m.size.bits();
  json["size"]["bits_per_weight_linears"] = m.size.linear_bits();
  json["size"]["theoretical_operations"] = m.size.theoretical_ops();
  json["compression_ratio"] = compression_ratio(study, m);
  const auto delta = delta_perplexity(study, m);
  json["delta_perplexity"] = delta ? Json(*delta) : Json(nullptr);
  json["prefill_speedup"] = m.speed ? Json(prefill_speedup(study, m)) : Json(nullptr);
  json["decode_speedup"] = m.speed ? Json(decode_speedup(study, m)) : Json(nullptr);
  return json;
}

Json tests_of(const Study& study) {
  Json pairs = Json::array(), tasks = Json::array();
  for (const PairRow& row : paired_rows(study)) {
    Json pair = {{"first", row.first}, {"second", row.second}, {"nats_per_token", json_of(*row.nll, row.nll_p)}};
    if (row.kl) pair["kl"] = json_of(*row.kl, row.kl_p);
    pairs.push_back(std::move(pair));
  }
  for (const TaskPair& p : task_pairs(study))
    tasks.push_back({{"task", p.task},
                     {"model", p.model},
                     {"base", p.base},
                     {"items", p.items},
                     {"lost", p.lost},
                     {"gained", p.gained},
                     {"mcnemar_p_value", p.p}});
  return {{"bootstrap_seed", study.seed}, {"pairs", std::move(pairs)}, {"tasks", std::move(tasks)}};
}

Json json_of_study(const Study& study) {
  Json models = Json::array(), missing = Json::array();
  for (const ModelRecord& m : study.models) models.push_back(json_in(study, m));
  for (const MissingModel& m : study.missing)
    missing.push_back({{"name", m.name}, {"why", m.why}, {"recipe", m.recipe}});
  return {{"program", "pith " PITH_VERSION},
          {"title", study.title},
          {"protocol", study.protocol},
          {"conditions", study.conditions},
          {"text", study.text_name},
          {"text_sha256", study.text_hash},
          {"prompts", study.prompts},
          {"machine",
           {{"processor", study.machine.processor},
            {"processors", study.machine.processors},
            {"ram_bytes", study.machine.ram_bytes},
            {"kernels", study.machine.kernels}}},
          {"base", study.base ? json_in(study, *study.base) : Json(nullptr)},
          {"models", std::move(models)},
          {"missing", std::move(missing)},
          {"tests", tests_of(study)}};
}

}  // namespace

std::string study_json(const Study& study) { return text_of(json_of_study(study)); }

std::string sweep_json(std::span<const Study> studies) {
  Json list = Json::array();
  for (const Study& study : studies) list.push_back(json_of_study(study));
  return text_of({{"studies", std::move(list)}});
}

}  // namespace pith::report
