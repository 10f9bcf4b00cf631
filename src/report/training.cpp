#include "report/training.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/human.h"
#include "report/json_values.h"
#include "report/table.h"

namespace pith::report {

namespace {

// Some successive steps as one.
struct Stretch {
  dim first = 0, last = 0;
  double loss = 0, norm = 0, rate = 0;  // means
};

std::vector<Stretch> stretches(const std::vector<TrainStep>& steps, std::size_t most) {
  std::vector<Stretch> all;
  const std::size_t count = std::min(most, steps.size());
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t begin = steps.size() * k / count, end = steps.size() * (k + 1) / count;
    Stretch s = {steps[begin].number, steps[end - 1].number};
    for (std::size_t i = begin; i < end; ++i) {
      s.loss += steps[i].loss / double(end - begin);
      s.norm += steps[i].gradient_norm / double(end - begin);
      s.rate += steps[i].rate / double(end - begin);
    }
    all.push_back(s);
  }
  return all;
}

Table curve_table(const std::vector<TrainStep>& steps) {
  Table table = {{{"steps", true}, {"loss", true}, {"gradient norm", true}, {"rate", true}}, {}};
  for (const Stretch& s : stretches(steps, 20))
    table.rows.push_back({s.first == s.last ? fmt::format("{}", s.first) : fmt::format("{}-{}", s.first, s.last),
                          fmt::format("{:.4f}", s.loss), fmt::format("{:.3f}", s.norm), fmt::format("{:.2e}", s.rate)});
  return table;
}

// The loss over the steps as a drawing of 600 by 200.
std::string curve_svg(const std::vector<TrainStep>& steps) {
  const std::vector<Stretch> points = stretches(steps, 200);
  if (points.size() < 2) return {};
  double low = points[0].loss, high = low;
  for (const Stretch& s : points) low = std::min(low, s.loss), high = std::max(high, s.loss);
  const double span = std::max(high - low, 1e-9);
  std::string line;
  for (std::size_t i = 0; i < points.size(); ++i)
    line += fmt::format("{}{:.1f},{:.1f}", i ? " " : "", 50 + 540 * double(i) / double(points.size() - 1),
                        180 - 160 * (points[i].loss - low) / span);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 600 200\" width=\"600\" height=\"200\" "
      "font-family=\"sans-serif\" font-size=\"11\">"
      "<path d=\"M50 20V180H590\" fill=\"none\" stroke=\"#999\"/>"
      "<text x=\"45\" y=\"24\" text-anchor=\"end\">{:.3f}</text><text x=\"45\" y=\"184\" "
      "text-anchor=\"end\">{:.3f}</text>"
      "<text x=\"590\" y=\"196\" text-anchor=\"end\">step {}</text>"
      "<polyline fill=\"none\" stroke=\"#06c\" stroke-width=\"1.5\" points=\"{}\"/></svg>",
      high, low, points.back().last, line);
}

Facts facts_of(const TrainingReport& r) {
  Facts facts = {{"model", r.model}};
  if (!r.teacher.empty()) facts.push_back({"teacher", r.teacher});
  facts.push_back({"learned", fmt::format("{}: {}", r.what, human_parameters(r.run.trained_values))});
  facts.push_back({"loss", r.loss});
  facts.push_back({"data", fmt::format("{} sequences, {} tokens, {} of them predicted", human_count(r.sequences),
                                       human_count(r.data_tokens), human_count(r.predicted_tokens))});
  const TrainOptions& o = r.options;
  facts.push_back({"steps", fmt::format("{} of {} planned, {} sequences each, {} rate up to {:g}", r.run.steps.size(),
                                        r.run.planned, o.batch, schedule_name(o.schedule), o.rate)});
  if (r.run.processes > 1) facts.push_back({"processes", fmt::format("{}; memory is of the first", r.run.processes)});
  if (r.run.resumed_at > 0) facts.push_back({"resumed at", fmt::format("step {}", r.run.resumed_at)});
  facts.push_back({"speed", fmt::format("{} tokens in {}: {:.0f} tokens/s", human_count(r.run.tokens),
                                        human_seconds(r.run.seconds), r.run.tokens_per_second())});
  facts.push_back({"memory", fmt::format("{} at most; {} values with gradients and moments, {} activations",
                                         human_bytes(r.peak_ram_bytes), human_bytes(r.run.state_bytes),
                                         human_bytes(r.run.activation_bytes))});
  return facts;
}

std::string ends_of(const TrainRun& run) {
  const auto parts = stretches(run.steps, 10);
  if (parts.empty()) return "no step was taken";
  std::string text =
      fmt::format("loss {:.4f} over the first tenth, {:.4f} over the last", parts.front().loss, parts.back().loss);
  std::string measured;
  for (const TrainStep& s : run.steps)
    if (s.validation) measured += fmt::format("{}{:.4f}", measured.empty() ? "" : ", ", *s.validation);
  return measured.empty() ? text : text + "; of the validation data " + measured;
}

}  // namespace

std::string training_text(const TrainingReport& r) {
  std::string text = text_facts(facts_of(r)) + ends_of(r.run) + "\n";
  for (const std::string& note : r.notes) text += "note: " + note + "\n";
  return text;
}

std::string training_markdown(const TrainingReport& r) {
  std::string text = fmt::format("# {}\n\n{}\n", r.output, markdown_facts(facts_of(r)));
  for (const std::string& note : r.notes) text += "- " + note + "\n";
  text += fmt::format("\n## Loss\n\n{}.\n\n{}\n\n{}", ends_of(r.run), curve_svg(r.run.steps),
                      markdown_table(curve_table(r.run.steps)));
  return text;
}

std::string training_json(const TrainingReport& r) {
  const TrainOptions& o = r.options;
  Json steps = Json::array();
  for (const TrainStep& s : r.run.steps)
    steps.push_back({{"step", s.number},
                     {"loss", s.loss},
                     {"gradient_norm", s.gradient_norm},
                     {"rate", s.rate},
                     {"tokens", s.tokens},
                     {"own", s.own},
                     {"validation", s.validation ? Json(*s.validation) : Json()}});
  Json out = {{"model", r.model},
              {"teacher", r.teacher.empty() ? Json() : Json(r.teacher)},
              {"output", r.output},
              {"output_bytes", r.output_bytes},
              {"learned", r.what},
              {"learned_values", r.run.trained_values},
              {"loss", r.loss},
              {"data",
               {{"files", r.data_files},
                {"sequences", r.sequences},
                {"tokens", r.data_tokens},
                {"predicted_tokens", r.predicted_tokens},
                {"sha256", r.data_hash}}},
              {"options",
               {{"batch", o.batch},
                {"schedule", schedule_name(o.schedule)},
                {"rate", o.rate},
                {"floor", o.floor},
                {"warmup", o.warmup},
                {"clip", o.clip},
                {"weight_decay", o.adamw.decay},
                {"beta1", o.adamw.beta1},
                {"beta2", o.adamw.beta2},
                {"eps", o.adamw.eps},
                {"seed", o.seed},
                {"optimizer", optimizer_name(o.choice.optimizer)},
                {"on_policy", o.rollout.adaptive ? Json("adaptive") : Json(o.rollout.share)},
                {"replay", o.rollout.replay},
                {"teacher_mix", o.rollout.teacher_mix},
                {"new_tokens", o.rollout.new_tokens},
                {"draw_temperature", o.rollout.temperature}}},
              {"planned_steps", r.run.planned},
              {"resumed_at", r.run.resumed_at},
              {"seconds", r.run.seconds},
              {"tokens", r.run.tokens},
              {"tokens_per_second", r.run.tokens_per_second()},
              {"processes", r.run.processes},
              {"state_bytes", r.run.state_bytes},
              {"activation_bytes", r.run.activation_bytes},
              {"peak_ram_bytes", r.peak_ram_bytes},
              {"notes", r.notes},
              {"steps", steps}};
  return text_of(out);
}

}  // namespace pith::report
