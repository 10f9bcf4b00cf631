#include "compress/calibrate/calibration_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "compress/calibrate/self_generated.h"
#include "core/error.h"
#include "core/rng.h"
#include "io/chat_template.h"
#include "io/files.h"
#include "io/json.h"

namespace pith {

namespace {

using Json = nlohmann::json;

std::string text_of_messages(const Json& messages, const Tokenizer& tokenizer) {
  ChatOptions options;
  options.add_generation_prompt = false;
  if (tokenizer.bos() >= 0) options.bos_token = tokenizer.piece(tokenizer.bos());
  if (tokenizer.eos() >= 0) options.eos_token = tokenizer.piece(tokenizer.eos());
  return render_chat_json(tokenizer.chat_template(), messages.dump(), options);
}

std::string member(const Json& record, const char* name) {
  const auto at = record.find(name);
  return at != record.end() && at->is_string() ? at->get<std::string>() : std::string();
}

// One line of a .jsonl file as text.
std::string text_of_record(const Json& record, const Tokenizer& tokenizer, const std::string& where) {
  if (record.is_object()) {
    if (const auto messages = record.find("messages"); messages != record.end() && messages->is_array())
      return text_of_messages(*messages, tokenizer);
    if (std::string text = member(record, "text"); !text.empty()) return text;
    if (const std::string asked = member(record, "instruction"); !asked.empty()) {
      const std::string more = member(record, "input");
      const Json messages = {{{"role", "user"}, {"content", more.empty() ? asked : asked + "\n" + more}},
                             {{"role", "assistant"}, {"content", member(record, "output")}}};
      return text_of_messages(messages, tokenizer);
    }
  }
  throw input_error(where, "expected an object with messages, text or instruction");
}

std::vector<Token> stream_of(const std::filesystem::path& file, const Tokenizer& tokenizer) {
  const std::string text = read_text_file(file.string());
  if (file.extension() != ".jsonl") return tokenizer.encode(text, false, false);
  std::vector<Token> stream;
  dim number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const std::string where = fmt::format("{}:{}", file.string(), number);
    const std::vector<Token> tokens =
        tokenizer.encode(text_of_record(parse_json(line, where), tokenizer, where), false, true);
    stream.insert(stream.end(), tokens.begin(), tokens.end());
    if (tokenizer.eos() >= 0) stream.push_back(tokenizer.eos());
  }
  return stream;
}

// `count` of `places` places, drawn without putting back, ascending.
std::vector<dim> draw(dim places, dim count, std::uint64_t seed) {
  std::vector<dim> all(static_cast<std::size_t>(places));
  std::iota(all.begin(), all.end(), 0);
  Rng rng(seed);
  for (dim i = 0; i < count; ++i) std::swap(all[std::size_t(i)], all[std::size_t(i + rng.below(places - i))]);
  all.resize(std::size_t(count));
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

dim CalibrationTokens::count() const {
  dim sum = 0;
  for (const auto& s : sequences) sum += dim(s.size());
  return sum;
}

CalibrationTokens calibration_tokens(const Model& model, const CalibrationChoice& choice) {
  if (choice.samples < 1 || choice.length < 2)
    throw input_error("calibration", "expected at least one sample of two tokens, got {} of {}", choice.samples,
                      choice.length);
  if (model.config().context > 0 && choice.length > model.config().context)
    throw input_error("calibration", "expected samples of at most the model's {} tokens, got {}",
                      model.config().context, choice.length);
  if (choice.files.empty()) return self_generated(model, choice);
  const Tokenizer& tokenizer = model.tokenizer();
  std::vector<Token> stream;
  for (const auto& file : choice.files) {
    const std::vector<Token> tokens = stream_of(file, tokenizer);
    stream.insert(stream.end(), tokens.begin(), tokens.end());
  }
  const bool bos = tokenizer.adds_bos() && tokenizer.bos() >= 0;
  const dim own = choice.length - bos, places = dim(stream.size()) / own;
  if (places < 1)
    throw input_error(choice.files[0].string(), "expected at least {} tokens for one sample, got {}", own,
                      stream.size());
  CalibrationTokens out;
  const dim count = std::min(places, choice.samples);
  if (count < choice.samples)
    out.notes.push_back(
        fmt::format("calibration: {} samples of {} tokens, the text has no more", count, choice.length));
  for (const dim place : draw(places, count, choice.seed)) {
    auto& sequence = out.sequences.emplace_back();
    if (bos) sequence.push_back(tokenizer.bos());
    sequence.insert(sequence.end(), stream.begin() + place * own, stream.begin() + (place + 1) * own);
  }
  return out;
}

}  // namespace pith
