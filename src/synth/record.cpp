#include "synth/record.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace pith::synth {

namespace {

using Json = nlohmann::ordered_json;

Json messages_json(const Conversation& messages) {
  Json list = Json::array();
  for (const ChatMessage& m : messages) list.push_back({{"role", m.role}, {"content", m.content}});
  return list;
}

Json model_json(const ModelIdentity& model) { return {{"name", model.name}, {"hash", model.hash}}; }

Json sampling_json(const Request& r) {
  Json out = {{"temperature", r.sampling.temperature},
              {"top_p", r.sampling.top_p},
              {"top_k", r.sampling.top_k},
              {"repetition_penalty", r.sampling.repetition_penalty},
              {"max_tokens", r.sampling.max_tokens},
              {"seed", r.seed}};
  if (r.contrast) {
    out["contrast"] = {{"weight", r.contrast->weight}, {"plausible", r.contrast->plausible}};
    out["contrast"]["against"] = messages_json(r.contrast->against);
  }
  return out;
}

}  // namespace

std::string record_line(const Record& record, const Origin& origin) {
  Json options = Json::object();
  for (const auto& [name, value] : origin.options) options[name] = value;
  Json from = {{"pipeline", origin.pipeline}, {"options", options}, {"seed", origin.seed}};
  if (!record.stage.empty()) from["stage"] = record.stage;
  if (!record.source.empty()) from["source"] = record.source;
  from["teacher"] = model_json(origin.teacher);
  if (!origin.student.name.empty()) from["student"] = model_json(origin.student);
  if (!record.request.messages.empty()) {
    from["prompt"] = messages_json(record.request.messages);
    from["sampling"] = sampling_json(record.request);
  }
  if (record.question_request) {
    from["question_prompt"] = messages_json(record.question_request->messages);
    from["question_sampling"] = sampling_json(*record.question_request);
  }
  from["filters"] = record.filters;
  if (!record.scores.empty()) from["scores"] = Json::object();
  for (const auto& [name, value] : record.scores) {
    PITH_CHECK(std::isfinite(value));
    from["scores"][name] = value;
  }
  const Json out = {{"messages", messages_json(record.messages)}, {"provenance", from}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pith::synth
