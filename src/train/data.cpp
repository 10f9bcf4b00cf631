#include "train/data.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "io/chat_template.h"
#include "io/files.h"
#include "io/json.h"
#include "io/sha256.h"

namespace pith {

namespace {

using Json = nlohmann::json;

std::string member(const Json& record, const char* name) {
  const auto at = record.find(name);
  return at != record.end() && at->is_string() ? at->get<std::string>() : std::string();
}

// The messages of a record; null when it is no conversation.
Json messages_of(const Json& record) {
  if (const auto messages = record.find("messages"); messages != record.end() && messages->is_array()) return *messages;
  const std::string asked = member(record, "instruction"), more = member(record, "input");
  if (asked.empty()) return {};
  return {{{"role", "user"}, {"content", more.empty() ? asked : asked + "\n" + more}},
          {{"role", "assistant"}, {"content", member(record, "output")}}};
}

class Reader {
 public:
  Reader(const Tokenizer& tokenizer, const DataChoice& choice, TrainingData& out)
      : tokenizer_(tokenizer), choice_(choice), out_(out) {
    chat_.bos_token = tokenizer_.bos() >= 0 ? tokenizer_.piece(tokenizer_.bos()) : "";
    chat_.eos_token = tokenizer_.eos() >= 0 ? tokenizer_.piece(tokenizer_.eos()) : "";
    chat_.now.emplace();  // the same bytes on every day
    chat_.now->tm_year = 100, chat_.now->tm_mday = 1;
  }

  void file(const std::filesystem::path& path) {
    const std::string text = read_text_file(path), extension = path.extension();
    if (extension == ".json") {
      const Json all = parse_json(text, path.string());
      if (!all.is_array()) throw input_error(path.string(), "expected an array of records, got {}", all.type_name());
      dim number = 0;
      for (const Json& record : all) add(record, fmt::format("{}, record {}", path.string(), ++number));
    } else if (extension == ".jsonl") {
      lines(text, path.string());
    } else {
      append(tokenizer_.encode(text, false, false));
    }
  }

  void finish() {
    cut_stream();
    if (cut_ > 0)
      out_.notes.push_back(
          fmt::format("{} conversations were longer than {} tokens and were cut", cut_, choice_.length));
    if (without_answer_ > 0)
      out_.notes.push_back(fmt::format("{} conversations had no answer within {} tokens and were left out",
                                       without_answer_, choice_.length));
  }

 private:
  void lines(const std::string& text, const std::string& name) {
    dim number = 0;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      const std::string line = text.substr(begin, end - begin);
      begin = end + 1;
      ++number;
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      const std::string where = fmt::format("{}, line {}", name, number);
      add(parse_json(line, where), where);
    }
  }

  void add(const Json& record, const std::string& where) {
    if (record.is_object()) {
      if (const Json messages = messages_of(record); !messages.is_null()) return conversation(messages, where);
      if (const std::string text = member(record, "text"); !text.empty())
        return append(tokenizer_.encode(text, false, false));
    }
    throw input_error(where, "expected an object with messages, text or instruction");
  }

  void append(const std::vector<Token>& text) {
    stream_.insert(stream_.end(), text.begin(), text.end());
    if (tokenizer_.eos() >= 0) stream_.push_back(tokenizer_.eos());
  }

  // Sequences of one length out of the texts; what is left at the end is a shorter one.
  void cut_stream() {
    const bool bos = tokenizer_.adds_bos() && tokenizer_.bos() >= 0;
    const auto fresh = std::size_t(choice_.length - (bos ? 1 : 0));
    for (std::size_t at = 0; at < stream_.size(); at += fresh) {
      TrainingSequence s;
      if (bos) s.tokens.push_back(tokenizer_.bos());
      const std::size_t end = std::min(at + fresh, stream_.size());
      s.tokens.insert(s.tokens.end(), stream_.begin() + std::ptrdiff_t(at), stream_.begin() + std::ptrdiff_t(end));
      if (s.tokens.size() < 2) continue;
      s.predicted.assign(s.tokens.size(), 1);
      s.predicted[0] = 0;
      out_.sequences.push_back(std::move(s));
    }
  }

  // Text from message `count` on, as far as the template writes it after what comes before.
  std::string rendered(const Json& messages, std::size_t count, bool prompt) {
    chat_.add_generation_prompt = prompt;
    return render_chat_json(tokenizer_.chat_template(),
                            Json(messages.begin(), messages.begin() + std::ptrdiff_t(count)).dump(), chat_);
  }

  void conversation(const Json& messages, const std::string& where) {
    TrainingSequence s;
    std::string before;
    const auto extend = [&](const std::string& whole, char predicted) {
      if (!whole.starts_with(before))
        throw Error(Blame::input, where, "expected a chat template that only adds to what it wrote of earlier messages",
                    "give one question and answer a line");
      const std::vector<Token> more = tokenizer_.encode(whole.substr(before.size()), false, true);
      s.tokens.insert(s.tokens.end(), more.begin(), more.end());
      s.predicted.resize(s.tokens.size(), predicted);
      before = whole;
    };
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (!messages[i].is_object() || member(messages[i], "role") != "assistant") continue;
      extend(rendered(messages, i, true), choice_.train_on_prompts);
      extend(rendered(messages, i + 1, false), 1);
    }
    if (dim(s.tokens.size()) > choice_.length) {
      s.tokens.resize(std::size_t(choice_.length));
      s.predicted.resize(std::size_t(choice_.length));
      ++cut_;
    }
    if (!s.predicted.empty()) s.predicted[0] = 0;
    if (s.count() == 0) return void(++without_answer_);
    out_.sequences.push_back(std::move(s));
  }

  const Tokenizer& tokenizer_;
  const DataChoice& choice_;
  TrainingData& out_;
  ChatOptions chat_;
  std::vector<Token> stream_;
  dim cut_ = 0, without_answer_ = 0;
};

std::string hash_of(const std::vector<TrainingSequence>& sequences) {
  Sha256 sha;
  for (const TrainingSequence& s : sequences) {
    const std::uint64_t length = s.tokens.size();
    sha.update(std::as_bytes(std::span(&length, 1)));
    sha.update(std::as_bytes(std::span(s.tokens)));
    sha.update(std::as_bytes(std::span(s.predicted)));
  }
  return sha.hex();
}

}  // namespace

dim TrainingSequence::count() const { return std::count(predicted.begin(), predicted.end(), 1); }

dim TrainingData::tokens() const {
  dim sum = 0;
  for (const TrainingSequence& s : sequences) sum += dim(s.tokens.size());
  return sum;
}

dim TrainingData::longest() const {
  dim most = 2;
  for (const TrainingSequence& s : sequences) most = std::max(most, dim(s.tokens.size()));
  return most;
}

dim TrainingData::predicted() const {
  dim sum = 0;
  for (const TrainingSequence& s : sequences) sum += s.count();
  return sum;
}

TrainingData training_data(const Tokenizer& tokenizer, const Config& config, const DataChoice& choice) {
  if (choice.length < 8 || (config.context > 0 && choice.length > config.context))
    throw input_error("length", "expected 8 to {} tokens, got {}", config.context, choice.length);
  TrainingData data;
  Reader reader(tokenizer, choice, data);
  for (const auto& file : choice.files) reader.file(file);
  reader.finish();
  if (data.predicted() == 0) throw input_error("data", "expected text to learn from, found none");
  const auto vocab = Token(config.vocab);
  for (const TrainingSequence& s : data.sequences)
    for (const Token t : s.tokens)
      if (t >= vocab) throw input_error("data", "expected tokens of the model's {}, got {}", vocab, t);
  data.hash = hash_of(data.sequences);
  return data;
}

ShuffledOrder::ShuffledOrder(std::size_t count, std::uint64_t seed) : count_(count), seed_(seed), order_(count) {
  PITH_CHECK(count > 0);
}

void ShuffledOrder::draw(dim pass) {
  pass_ = pass;
  std::iota(order_.begin(), order_.end(), std::size_t(0));
  Rng rng(mix64(seed_, std::uint64_t(pass)));
  for (std::size_t i = count_; i > 1; --i) std::swap(order_[i - 1], order_[std::size_t(rng.below(dim(i)))]);
}

std::size_t ShuffledOrder::at(dim place) {
  const dim pass = place / dim(count_);
  if (pass != pass_) draw(pass);
  return order_[std::size_t(place % dim(count_))];
}

}  // namespace pith
