#include "synth/run.h"

#include <map>

#include "core/error.h"
#include "core/stopwatch.h"

namespace pith::synth {

// Equal requests are asked once.
template <class Out, class In, class Find, class Ask>
std::vector<Out> AskedModel::all(std::string_view stage, const std::vector<In>& requests, const Find& find,
                                 const Ask& ask) {
  std::vector<Out> out(requests.size());
  std::vector<In> unknown;
  std::vector<std::string> keys;
  std::map<std::string, std::vector<std::size_t>> waiting;  // who gets the reply to a key
  progress_.begin(stage, dim(requests.size()));
  counts_.requests += dim(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::string key = key_of(identity_, requests[i]);
    if (const auto known = find(key)) {
      out[i] = *known;
      ++counts_.known;
      progress_.advance(1);
      continue;
    }
    auto& places = waiting[key];
    if (places.empty()) {
      unknown.push_back(requests[i]);
      keys.push_back(key);
    }
    places.push_back(i);
  }
  const auto start = Clock::now();
  if (!unknown.empty())
    ask(unknown, [&](std::size_t i, const Out& got) {
      counts_.tokens += got.tokens;
      journal_.keep(keys[i], got);
      for (const std::size_t place : waiting[keys[i]]) out[place] = got;
      progress_.advance(dim(waiting[keys[i]].size()));
    });
  journal_.sync();
  counts_.seconds += unknown.empty() ? 0 : seconds_since(start);
  progress_.end();
  return out;
}

std::vector<Reply> AskedModel::answer(std::string_view stage, const std::vector<Request>& requests) {
  return all<Reply>(
      stage, requests, [&](const std::string& key) { return journal_.reply(key); },
      [&](const std::vector<Request>& unknown, const auto& done) { model_.answer(unknown, done); });
}

std::vector<TextScore> AskedModel::score(std::string_view stage, const std::vector<ScoreRequest>& requests) {
  return all<TextScore>(
      stage, requests, [&](const std::string& key) { return journal_.score(key); },
      [&](const std::vector<ScoreRequest>& unknown, const auto& done) { model_.score(unknown, done); });
}

Request Run::request(Conversation messages, dim stream, dim index, dim sample) const {
  Request r;
  const bool has_system = !messages.empty() && messages[0].role == "system";
  if (!choice.system.empty() && !has_system) messages.insert(messages.begin(), {"system", choice.system});
  r.messages = std::move(messages);
  r.sampling = choice.sampling;
  r.seed = rng(stream, index, sample).next() >> 33;
  return r;
}

AskedModel& Run::student() {
  PITH_CHECK(student_ != nullptr);
  return *student_;
}

bool Run::usable(const Reply& reply) {
  if (reply.end == ReplyEnd::no_room) return drop("room"), false;
  if (reply.end == ReplyEnd::length && !choice.filters.keep_unfinished) return drop("finished"), false;
  const std::vector<std::string> words = words_of(reply.text);
  if (words.empty()) return drop("empty"), false;
  if (choice.filters.repetition < 1 && repetition_of(words) > choice.filters.repetition)
    return drop("repetition"), false;
  return true;
}

bool Run::emit(Record record) {
  const auto words = dim(words_of(record.answer()).size());
  if (words < choice.filters.min_words || (choice.filters.max_words > 0 && words > choice.filters.max_words))
    return drop("length"), false;
  std::string text;
  for (const ChatMessage& m : record.messages) text += m.role + ": " + m.content + "\n";
  if (const std::string_view fault = duplicates_.check(text); !fault.empty()) return drop(fault), false;
  if (!record.request.messages.empty()) {
    if (!choice.filters.keep_unfinished) record.filters.insert(record.filters.begin(), "finished");
    if (choice.filters.repetition < 1)
      record.filters.push_back(fmt::format("repetition<={:g}", choice.filters.repetition));
  }
  if (choice.filters.min_words > 0 || choice.filters.max_words > 0) record.filters.push_back("length");
  if (choice.duplicates.kind != DuplicateKind::none) record.filters.push_back("dedup " + text_of(choice.duplicates));
  records_.push_back(std::move(record));
  return true;
}

void Run::drop(std::string_view filter, dim count) {
  if (count == 0) return;
  for (auto& [name, dropped] : dropped_)
    if (name == filter) return void(dropped += count);
  dropped_.emplace_back(filter, count);
}

}  // namespace pith::synth
