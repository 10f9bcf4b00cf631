#include <CLI/CLI.hpp>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer_options.h"
#include "cli/command.h"
#include "core/error.h"
#include "io/files.h"
#include "io/json.h"
#include "serve/chat_prompt.h"

namespace pith::cli {

namespace {

struct GenerateArguments : AnswerArguments {
  std::string prompt, system, history;
  bool chat = false;
};

nlohmann::ordered_json scores_json(const GenerateResult& r) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const TokenScore& score : r.scores) {
    nlohmann::ordered_json likeliest = nlohmann::ordered_json::array();
    for (const auto& other : score.likeliest) likeliest.push_back({{"token", other.token}, {"logprob", other.logprob}});
    list.push_back({{"token", score.token}, {"logprob", score.logprob}, {"likeliest", likeliest}});
  }
  return list;
}

std::string as_json(const GenerateArguments& a, const GenerateResult& r) {
  nlohmann::ordered_json out = {
      {"model", a.model},
      {"prompt", a.prompt},
      {"text", r.text},
      {"tokens", r.tokens},
      {"stop", name_of(r.reason)},
      {"kv", r.kv},
      {"kv_bytes", r.kv_bytes},
      {"prompt_tokens", r.prompt_tokens},
      {"reused_tokens", r.reused_tokens},
      {"prompt_tokens_per_second", rate(r.prompt_tokens - r.reused_tokens, r.prompt_seconds)},
      {"tokens_per_second", rate(dim(r.tokens.size()), r.decode_seconds)},
  };
  if (a.options.logprobs >= 0) out["logprobs"] = scores_json(r);
  if (!a.draft.empty()) out["draft"] = {{"model", a.draft}, {"drafted", r.drafted}, {"accepted", r.accepted}};
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// The messages so far and the question, as JSON.
std::string conversation(const GenerateArguments& a) {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (!a.system.empty()) messages.push_back({{"role", "system"}, {"content", a.system}});
  if (!a.history.empty()) {
    const std::string text = read_text_file(a.history);
    if (!parse_json(text, a.history).is_array()) throw input_error(a.history, "expected an array of messages");
    for (auto& message : nlohmann::ordered_json::parse(text)) messages.push_back(std::move(message));
  }
  messages.push_back({{"role", "user"}, {"content", a.prompt}});
  return messages.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<Token> prompt_tokens(GenerateArguments& a, const Tokenizer& tokenizer) {
  if (!a.chat) return tokenizer.encode(a.prompt);
  ChatPrompt prompt = chat_prompt(tokenizer, conversation(a));
  a.prompt = std::move(prompt.text);
  return std::move(prompt.tokens);
}

void run(GenerateArguments& a) {
  if (a.prompt == "-") a.prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  AnswerModels models(a);
  const std::vector<Token> prompt = prompt_tokens(a, models.model.tokenizer());
  const bool stream = !a.json;
  if (stream && !a.quiet && !a.chat) print(a.prompt);
  models.session.context =
      context_for(models.model.config(), dim(prompt.size()), a.options.max_tokens, models.session.context);
  Session session(models.model, models.session);
  load_prompt_cache(session, a);
  const GenerateResult result = session.generate(prompt, a.options, [&](std::string_view piece) {
    if (stream) print(std::string(piece));
    return true;
  });
  save_prompt_cache(session, a);
  if (a.json) return print(as_json(a, result));
  print("\n");
  if (!a.quiet) fmt::print(stderr, "[{}]\n", summary(result));
}

void set_up(CLI::App& app) {
  auto a = std::make_shared<GenerateArguments>();
  app.add_option("model", a->model, "a Hugging Face folder or a .gguf file")->required();
  app.add_option("prompt", a->prompt, "the text to go on from; - reads it from standard input")->required();
  auto* chat = app.add_flag("--chat", a->chat, "ask with the model's own chat template; only the answer is printed");
  app.add_option("--system", a->system, "what the model is told before the question")->needs(chat);
  app.add_option("--history", a->history,
                 "a JSON file with the messages before: [{\"role\": ..., \"content\": ...}, ...]")
      ->needs(chat);
  app.add_option("--context", a->session.context, "tokens of prompt and answer together (0: as needed)")
      ->check(CLI::NonNegativeNumber);
  add_answer_options(app, *a);
  app.add_flag("-q,--quiet", a->quiet, "the generated text alone");
  auto* json = app.add_flag("--json", a->json, "machine-readable output");
  app.add_option("--logprobs", a->options.logprobs,
                 "with each token its log-probability and those of the N likeliest ones")
      ->check(CLI::Range(0, 100))
      ->needs(json);
  app.callback([a] { run(*a); });
}

}  // namespace

extern const Command generate_command;
const Command generate_command = {"generate", "go on from a prompt, streaming the text",
                                  "  pith generate model.gguf 'Once upon a time' -n 100\n"
                                  "  pith generate model/ 'Dear Sir,' -t 0.8 --top-p 0.95 --seed 7\n"
                                  "  pith generate model.gguf 'Why is the sky blue?' --chat --system 'Be brief.'\n"
                                  "  pith generate model.gguf 'And at night?' --chat --history talk.json\n"
                                  "  pith generate model.gguf - --kv kivi:bits=4,residual=128 < prompt.txt\n"
                                  "  pith generate model/ 'Once upon a time' --speculative model-q4.gguf\n"
                                  "  pith generate model.gguf - --json < prompt.txt",
                                  set_up};

}  // namespace pith::cli
