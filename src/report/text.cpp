#include "report/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/human.h"
#include "report/sizes.h"

namespace pith::report {
namespace {

struct PlanGroup {
  const TensorPlan* first;
  dim tensors = 0, bytes_before = 0, bytes_after = 0;
};

bool same_row(const TensorPlan& a, const TensorPlan& b) {
  return a.role == b.role && a.rows == b.rows && a.cols == b.cols && a.from == b.from && a.to == b.to && a.why == b.why;
}

std::vector<PlanGroup> groups_of(const Preflight& preflight) {
  std::vector<PlanGroup> groups;
  for (const TensorPlan& tensor : preflight.tensors) {
    auto at =
        std::find_if(groups.begin(), groups.end(), [&](const PlanGroup& g) { return same_row(*g.first, tensor); });
    if (at == groups.end()) at = groups.insert(at, PlanGroup{.first = &tensor});
    ++at->tensors;
    at->bytes_before += tensor.bytes_before;
    at->bytes_after += tensor.bytes_after;
  }
  return groups;
}

std::string ratio(dim before, dim after) {
  return after > 0 ? fmt::format("{:.2f}x smaller", double(before) / double(after)) : std::string("empty");
}

}  // namespace

Table preflight_table(const Preflight& preflight) {
  Table table;
  table.columns = {{"role", false}, {"tensors", true}, {"shape", true}, {"from", false},
                   {"to", false},   {"before", true},  {"after", true}, {"note", false}};
  for (const PlanGroup& group : groups_of(preflight)) {
    const TensorPlan& t = *group.first;
    const bool fell_back = t.wanted && t.wanted != t.to;
    table.rows.push_back({std::string(role_name(t.role)), fmt::format("{}", group.tensors),
                          fmt::format("{} x {}", t.rows, t.cols), std::string(t.from->name), std::string(t.to->name),
                          human_bytes(group.bytes_before), human_bytes(group.bytes_after),
                          fell_back ? fmt::format("not {}: {}", t.wanted->name, t.why) : t.why});
  }
  return table;
}

std::string preflight_text(const Preflight& preflight) {
  const Sizes sizes = sizes_of(preflight);
  const auto fallbacks = std::count_if(preflight.tensors.begin(), preflight.tensors.end(),
                                       [](const TensorPlan& t) { return t.wanted && t.wanted != t.to; });
  Facts facts;
  facts.emplace_back("output", fmt::format("{}, {}", human_bytes(preflight.output_bytes),
                                           ratio(preflight.source_bytes, preflight.output_bytes)));
  facts.emplace_back("bits per weight", fmt::format("{:.3f} in linears, {:.3f} in all", sizes.linears.bits_after(),
                                                    sizes.all.bits_after()));
  facts.emplace_back("fallbacks", fmt::format("{} of {} tensors", fallbacks, preflight.tensors.size()));
  facts.emplace_back("peak memory", fmt::format("{} (predicted)", human_bytes(preflight.peak_ram_bytes)));
  facts.emplace_back("time", fmt::format("{} (predicted)", human_seconds(preflight.seconds)));
  facts.emplace_back("free on disk", human_bytes(preflight.disk_free_bytes));
  for (const std::string& note : preflight.notes) facts.emplace_back("note", note);
  return text_table(preflight_table(preflight)) + '\n' + text_facts(facts);
}

std::string outcome_text(const Outcome& outcome) {
  const Sizes sizes = sizes_of(outcome);
  const TensorOutcome* worst = nullptr;
  for (const TensorOutcome& tensor : outcome.tensors)
    if (is_linear(tensor.role) && (!worst || tensor.relative_error > worst->relative_error)) worst = &tensor;
  Facts facts;
  facts.emplace_back("size", fmt::format("{} -> {}, {}", human_bytes(outcome.preflight.source_bytes),
                                         human_bytes(outcome.output_bytes),
                                         ratio(outcome.preflight.source_bytes, outcome.output_bytes)));
  facts.emplace_back("bits per weight", fmt::format("{:.3f} in linears, {:.3f} in all", sizes.linears.bits_after(),
                                                    sizes.all.bits_after()));
  if (const Zeros zeros = zeros_of(outcome); zeros.values > 0)
    facts.emplace_back("zeros", fmt::format("{:.4f} % of the pruned layers ({} of {})", zeros.percent(),
                                            human_count(zeros.zeros), human_count(zeros.values)));
  if (worst)
    facts.emplace_back("largest error", fmt::format("{:.2f} % ({:.1f} dB) in {}", 100 * worst->relative_error,
                                                    worst->sqnr_db, worst->name));
  facts.emplace_back("time", human_seconds(outcome.seconds));
  facts.emplace_back("peak memory", human_bytes(outcome.peak_ram_bytes));
  for (const std::string& note : outcome.preflight.notes) facts.emplace_back("note", note);
  return text_facts(facts);
}

Facts eval_facts(const EvalResult& result) {
  Facts facts;
  facts.emplace_back("protocol", fmt::format("{}: {}", result.protocol, result.conditions));
  facts.emplace_back("perplexity", plus_minus(result.perplexity.mean, result.perplexity.half_width, 4));
  facts.emplace_back("nats per token", plus_minus(result.nll.mean, result.nll.half_width, 5));
  facts.emplace_back("bits per byte", plus_minus(result.bits_per_byte.mean, result.bits_per_byte.half_width, 4));
  facts.emplace_back("of words, of bytes",
                     fmt::format("perplexity {:.4f} ({} words), {:.5f} ({} bytes)", result.word_perplexity.mean,
                                 human_count(result.words), result.byte_perplexity.mean, human_count(result.bytes)));
  if (result.kv != "f32")
    facts.emplace_back("keys and values",
                       fmt::format("{}: {:.4g} bits a value, {} for {} tokens", result.kv, result.kv_bits_per_value,
                                   human_bytes(result.kv_bytes), result.context));
  if (result.activations != "f32") facts.emplace_back("activations", result.activations);
  facts.emplace_back("text", fmt::format("sha256 {}", result.text_hash));
  facts.emplace_back("time",
                     fmt::format("{}, {:.0f} tokens/s", human_seconds(result.seconds), result.tokens_per_second));
  return facts;
}

Facts divergence_facts(const Divergence& d) {
  Facts facts;
  facts.emplace_back("KL(base || model)", plus_minus(d.kl.mean, d.kl.half_width, 6) + " nats per token");
  facts.emplace_back("KL quantiles",
                     fmt::format("median {:.6f}, 90 % {:.6f}, 95 % {:.6f}, 99 % {:.6f}, 99.9 % {:.6f}, largest {:.6f}",
                                 d.kl_median, d.kl_p90, d.kl_p95, d.kl_p99, d.kl_p999, d.kl_max));
  facts.emplace_back("same top token",
                     plus_minus(100 * d.top1_agreement.mean, 100 * d.top1_agreement.half_width, 3) + " %");
  facts.emplace_back("same of the top 5, 10",
                     plus_minus(100 * d.top5_overlap.mean, 100 * d.top5_overlap.half_width, 3) + " %, " +
                         plus_minus(100 * d.top10_overlap.mean, 100 * d.top10_overlap.half_width, 3) + " %");
  facts.emplace_back("RMS change of p", plus_minus(100 * d.rms_delta_p.mean, 100 * d.rms_delta_p.half_width, 3) + " %");
  facts.emplace_back("ln(ppl / base ppl)", plus_minus(d.log_ppl_ratio.mean, d.log_ppl_ratio.half_width, 6));
  return facts;
}

// Of a single window, where positions are what one looks for; of many, by_position is in the JSON.
static std::string positions_text(const EvalResult& result) {
  if (result.windows != 1 || result.by_position.size() < 2) return {};
  Table table;
  table.columns = {{"position", true}, {"tokens", true}, {"nats per token", true}, {"perplexity", true}};
  for (const PositionScore& p : result.by_position)
    table.rows.push_back({std::to_string(p.from), std::to_string(p.tokens), fmt::format("{:.4f}", p.nll),
                          fmt::format("{:.3f}", std::exp(p.nll))});
  return "\n" + text_table(table);
}

std::string eval_text(const EvalResult& result) { return text_facts(eval_facts(result)) + positions_text(result); }

std::string comparison_text(const Comparison& comparison) {
  Facts facts = eval_facts(comparison.model);
  const EvalResult& base = comparison.divergence.base;
  facts.insert(facts.begin() + 2,
               {"perplexity of base", plus_minus(base.perplexity.mean, base.perplexity.half_width, 4)});
  const Facts more = divergence_facts(comparison.divergence);
  facts.insert(facts.end(), more.begin(), more.end());
  return text_facts(facts) + positions_text(comparison.model);
}

}  // namespace pith::report
