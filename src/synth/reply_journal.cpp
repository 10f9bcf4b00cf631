#include "synth/reply_journal.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/json.h"
#include "io/sha256.h"

namespace pith::synth {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFingerprint = "replies of models, 1";
constexpr double kSecondsUnsynced = 1;

Json messages_json(const Conversation& messages) {
  Json list = Json::array();
  for (const ChatMessage& m : messages) list.push_back(Json::array({m.role, m.content}));
  return list;
}

std::string hashed(const ModelIdentity& model, Json asked) {
  asked["model"] = model.hash;
  return sha256_hex(asked.dump(-1, ' ', false, Json::error_handler_t::replace));
}

// Ours, so a fault in it is the file's.
nlohmann::json parsed(const std::string& note) { return parse_json(note, "journal", {.max_depth = 4}); }

}  // namespace

std::string key_of(const ModelIdentity& model, const Request& request) {
  const Sampling& s = request.sampling;
  Json asked = {{"messages", messages_json(request.messages)},
                {"temperature", s.temperature},
                {"top_p", s.top_p},
                {"top_k", s.top_k},
                {"penalty", s.repetition_penalty},
                {"max_tokens", s.max_tokens}};
  if (s.temperature > 0) asked["seed"] = request.seed;
  if (request.contrast) {
    asked["against"] = messages_json(request.contrast->against);
    asked["weight"] = request.contrast->weight;
    asked["plausible"] = request.contrast->plausible;
  }
  return hashed(model, std::move(asked));
}

std::string key_of(const ModelIdentity& model, const ScoreRequest& request) {
  return hashed(model, {{"messages", messages_json(request.messages)}, {"score", request.text}});
}

ReplyJournal::ReplyJournal(const std::filesystem::path& path) {
  if (std::filesystem::exists(path) && !std::filesystem::is_regular_file(path))
    throw input_error(path.string(), "expected a journal of replies, got no file");
  const bool fresh = !std::filesystem::exists(path) || std::filesystem::file_size(path) == 0;
  if (!fresh) {  // looked at before it is locked and a torn end cut off: it may be another kind of file
    std::string head(64, '\0');
    FILE* file = std::fopen(path.c_str(), "rb");
    if (file) {
      head.resize(std::fread(head.data(), 1, head.size(), file));
      std::fclose(file);
    }
    if (!head.starts_with(fmt::format("s\t{}\t", kFingerprint)))
      throw Error(Blame::input, path.string(), "expected a journal of replies, got another kind of file",
                  "name another with --journal");
  }
  file_.emplace(path);
  file_->load();
  if (file_->fingerprint().empty()) file_->start(kFingerprint);
}

const std::string* ReplyJournal::note(const std::string& key) const {
  const auto& all = file_ ? file_->pieces() : held_;
  const auto at = all.find(key);
  return at == all.end() ? nullptr : &at->second;
}

std::optional<Reply> ReplyJournal::reply(const std::string& key) const {
  const std::string* found = note(key);
  if (!found) return std::nullopt;
  const auto json = parsed(*found);
  if (!json.is_array() || json.size() != 3 || !json[0].is_string() || !json[1].is_number_integer() ||
      !json[2].is_number_integer() || json[2].get<int>() < 0 || json[2].get<int>() > int(ReplyEnd::no_room))
    throw input_error("journal", "expected a reply under {}, got {}", key, *found);
  return Reply{json[0].get<std::string>(), json[1].get<dim>(), ReplyEnd(json[2].get<int>())};
}

std::optional<TextScore> ReplyJournal::score(const std::string& key) const {
  const std::string* found = note(key);
  if (!found) return std::nullopt;
  const auto json = parsed(*found);
  if (!json.is_array() || json.size() != 2 || !json[0].is_number() || !json[1].is_number_integer())
    throw input_error("journal", "expected a score under {}, got {}", key, *found);
  return TextScore{json[0].get<double>(), json[1].get<dim>()};
}

void ReplyJournal::keep(const std::string& key, const Reply& reply) {
  keep_note(
      key,
      Json::array({reply.text, reply.tokens, int(reply.end)}).dump(-1, ' ', false, Json::error_handler_t::replace));
}

void ReplyJournal::keep(const std::string& key, const TextScore& score) {
  keep_note(key, Json::array({score.logprob, score.tokens}).dump());
}

void ReplyJournal::keep_note(const std::string& key, std::string note) {
  if (!file_) {
    held_.insert_or_assign(key, std::move(note));
    return;
  }
  file_->add_piece(key, note);
  if (seconds_since(synced_) > kSecondsUnsynced) sync();
}

void ReplyJournal::sync() {
  if (file_) file_->sync();
  synced_ = Clock::now();
}

}  // namespace pith::synth
