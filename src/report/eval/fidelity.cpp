#include "report/eval/fidelity.h"

#include <fmt/format.h>

#include <cmath>

#include "report/table.h"

namespace pith::report {
namespace {

std::string decibel(double error) { return error > 0 ? fmt::format("{:.2f}", sqnr_db(error)) : "exact"; }
std::string percent(double share) { return fmt::format("{:.4f}", 100 * share); }

}  // namespace

std::string fidelity_text(const FidelityReport& r) {
  Table layers;
  layers.columns = {{"layer", true},         {"error %", true}, {"SQNR dB", true},
                    {"block alone %", true}, {"dB", true},      {"cosine", true}};
  for (std::size_t i = 0; i < r.layers.size(); ++i) {
    const LayerFidelity& l = r.layers[i];
    layers.rows.push_back({std::to_string(i), percent(l.error), decibel(l.error), percent(l.block_error),
                           decibel(l.block_error), fmt::format("{:.6f}", l.cosine)});
  }
  const GreedyDivergence& g = r.greedy;
  const Facts facts = {
      {"greedy continuations",
       fmt::format("{} of up to {} tokens, prompts of {}", g.agreed.size(), g.limit, r.prompt_tokens)},
      {"tokens until the first difference", fmt::format("median {:.1f}, mean {:.1f}", g.median, g.mean)},
      {"without a difference", fmt::format("{} of {}", g.identical, g.agreed.size())}};
  return fmt::format(
      "Hidden states after each block, {} x {} tokens: with all compressed blocks before it; alone\n\n{}\n{}",
      r.layer_sequences, r.layer_tokens, text_table(layers), text_facts(facts));
}

Json json_of(const FidelityReport& r) {
  const auto ratio = [](double error) { return error > 0 ? Json(sqnr_db(error)) : Json(nullptr); };
  Json layers = Json::array();
  for (const LayerFidelity& l : r.layers)
    layers.push_back({{"layer", layers.size()},
                      {"relative_error", l.error},
                      {"sqnr_db", ratio(l.error)},
                      {"block_relative_error", l.block_error},
                      {"block_sqnr_db", ratio(l.block_error)},
                      {"cosine", l.cosine}});
  const GreedyDivergence& g = r.greedy;
  return {{"hidden_states",
           {{"sequences", r.layer_sequences}, {"tokens_of_each", r.layer_tokens}, {"layers", std::move(layers)}}},
          {"greedy",
           {{"prompts", g.agreed.size()},
            {"prompt_tokens", r.prompt_tokens},
            {"limit", g.limit},
            {"agreed_tokens", g.agreed},
            {"median", g.median},
            {"mean", g.mean},
            {"identical", g.identical}}}};
}

}  // namespace pith::report
