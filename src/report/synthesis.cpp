#include "report/synthesis.h"

#include <fmt/format.h>

#include "report/human.h"
#include "report/json_values.h"
#include "report/table.h"

namespace pith::report {

namespace {

using synth::AskCounts;

double mean_words(const synth::Outcome& outcome) {
  dim words = 0;
  for (const synth::Record& r : outcome.records) words += dim(synth::words_of(r.answer()).size());
  return outcome.records.empty() ? 0 : double(words) / double(outcome.records.size());
}

double rate(const AskCounts& c) { return c.seconds > 0 ? double(c.tokens) / c.seconds : 0; }

std::string asked(const AskCounts& c) {
  std::string text = fmt::format("{} requests", human_count(c.requests));
  if (c.known > 0) text += fmt::format(", {} of them in the journal", human_count(c.known));
  if (c.seconds > 0)
    text += fmt::format("; {} tokens in {}: {:.0f} tokens/s", human_count(c.tokens), human_seconds(c.seconds), rate(c));
  return text;
}

Json json_of(const AskCounts& c, const synth::ModelIdentity& who) {
  return {{"name", who.name},   {"hash", who.hash},     {"requests", c.requests},      {"known", c.known},
          {"tokens", c.tokens}, {"seconds", c.seconds}, {"tokens_per_second", rate(c)}};
}

Json messages_json(const synth::Conversation& messages) {
  Json list = Json::array();
  for (const ChatMessage& m : messages) list.push_back({{"role", m.role}, {"content", m.content}});
  return list;
}

}  // namespace

std::string synthesis_text(const SynthesisReport& r) {
  const synth::Outcome& o = *r.outcome;
  Facts facts = {{"pipeline", o.origin.pipeline},
                 {"data", fmt::format("{} records", human_count(r.seeds))},
                 {"teacher", o.origin.teacher.name + ": " + asked(o.teacher)}};
  if (!o.origin.student.name.empty()) facts.push_back({"student", o.origin.student.name + ": " + asked(o.student)});
  std::string text = text_facts(facts);
  if (!o.dropped.empty()) {
    Table table = {{{"dropped by", false}, {"", true}}, {}};
    for (const auto& [name, count] : o.dropped) table.rows.push_back({name, human_count(count)});
    text += "\n" + text_table(table) + "\n";
  }
  text += fmt::format("{} records, {:.0f} words an answer\n", human_count(dim(o.records.size())), mean_words(o));
  return text;
}

std::string synthesis_json(const SynthesisReport& r) {
  const synth::Outcome& o = *r.outcome;
  Json options = Json::object(), dropped = Json::object();
  for (const auto& [name, value] : o.origin.options) options[name] = value;
  for (const auto& [name, count] : o.dropped) dropped[name] = count;
  Json out = {{"output", r.output},
              {"output_bytes", r.output_bytes},
              {"pipeline", o.origin.pipeline},
              {"options", options},
              {"seed", o.origin.seed},
              {"data", {{"files", r.data_files}, {"records", r.seeds}}},
              {"teacher", json_of(o.teacher, o.origin.teacher)}};
  if (!o.origin.student.name.empty()) out["student"] = json_of(o.student, o.origin.student);
  out["records"] = o.records.size();
  out["mean_words"] = mean_words(o);
  out["dropped"] = dropped;
  out["peak_ram_bytes"] = r.peak_ram_bytes;
  return text_of(out);
}

std::string plan_text(const synth::Plan& plan, dim seeds) {
  std::string text = fmt::format("{} records of data; first stage: {}", human_count(seeds), plan.stage);
  if (plan.requests.empty()) return text + "\n";
  text += fmt::format(", {} requests", human_count(dim(plan.requests.size())));
  if (plan.prompt_tokens >= 0) text += fmt::format(" with {} tokens of prompts", human_count(plan.prompt_tokens));
  const synth::Request& first = plan.requests[0];
  text += fmt::format(", up to {} tokens each\n\nthe first:\n", human_count(first.sampling.max_tokens));
  for (const ChatMessage& m : first.messages) text += fmt::format("[{}] {}\n", m.role, m.content);
  return text;
}

std::string plan_json(const synth::Plan& plan, dim seeds) {
  Json out = {{"dry_run", true}, {"records", seeds}, {"stage", plan.stage}, {"requests", plan.requests.size()}};
  out["prompt_tokens"] = plan.prompt_tokens >= 0 ? Json(plan.prompt_tokens) : Json();
  if (!plan.requests.empty()) {
    out["max_tokens"] = plan.requests[0].sampling.max_tokens;
    out["first"] = messages_json(plan.requests[0].messages);
  }
  return text_of(out);
}

}  // namespace pith::report
