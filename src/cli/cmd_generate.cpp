#include <CLI/CLI.hpp>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "core/error.h"
#include "io/chat_template.h"
#include "io/files.h"
#include "io/json.h"
#include "model/generate.h"

namespace pith::cli {

namespace {

struct GenerateArguments {
  std::string model, prompt;
  GenerateOptions options;
  std::string system, history, kv, activations;
  bool json = false, quiet = false, chat = false;
};

const char* reason_name(StopReason reason) {
  switch (reason) {
    case StopReason::max_tokens:
      return "max_tokens";
    case StopReason::context_full:
      return "context_full";
    case StopReason::stop_token:
      return "stop_token";
    case StopReason::stop_string:
      return "stop_string";
    case StopReason::callback:
      return "callback";
  }
  return "";
}

double rate(dim tokens, double seconds) { return seconds > 0 ? double(tokens) / seconds : 0; }

std::string as_json(const GenerateArguments& a, const GenerateResult& r) {
  const nlohmann::ordered_json out = {
      {"model", a.model},
      {"prompt", a.prompt},
      {"text", r.text},
      {"tokens", r.tokens},
      {"stop", reason_name(r.reason)},
      {"kv", r.kv},
      {"kv_bytes", r.kv_bytes},
      {"prompt_tokens", r.prompt_tokens},
      {"prompt_tokens_per_second", rate(r.prompt_tokens, r.prompt_seconds)},
      {"tokens_per_second", rate(dim(r.tokens.size()), r.decode_seconds)},
  };
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string spelled(const Tokenizer& tokenizer, Token token) {
  return token < 0 ? std::string() : tokenizer.decode(std::span(&token, 1), false);
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

// The question as the model was trained to be asked. Templates mostly write BOS themselves; it is put before the
// others where the tokenizer wants one.
std::vector<Token> encode_chat(GenerateArguments& a, const Tokenizer& tokenizer) {
  ChatOptions options;
  options.bos_token = spelled(tokenizer, tokenizer.bos());
  options.eos_token = spelled(tokenizer, tokenizer.eos());
  a.prompt = render_chat_json(tokenizer.chat_template(), conversation(a), options);
  std::vector<Token> tokens = tokenizer.encode(a.prompt, false, true);
  const Token bos = tokenizer.bos();
  if (tokenizer.adds_bos() && bos >= 0 && (tokens.empty() || tokens[0] != bos)) tokens.insert(tokens.begin(), bos);
  return tokens;
}

void run(GenerateArguments& a) {
  if (a.prompt == "-") a.prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  const Model model = Model::open(a.model);
  const std::vector<Token> prompt = a.chat ? encode_chat(a, model.tokenizer()) : model.tokenizer().encode(a.prompt);
  const bool stream = !a.json;
  if (stream && !a.quiet && !a.chat) print(a.prompt);
  const GenerateResult result = generate(model, prompt, a.options, [&](std::string_view piece) {
    if (stream) print(std::string(piece));
    return true;
  });
  if (a.json) return print(as_json(a, result));
  print("\n");
  if (!a.quiet)
    fmt::print(stderr, "[{} prompt tokens, {:.0f}/s; {} tokens, {:.1f}/s; {}]\n", result.prompt_tokens,
               rate(result.prompt_tokens, result.prompt_seconds), result.tokens.size(),
               rate(dim(result.tokens.size()), result.decode_seconds), reason_name(result.reason));
}

void set_up(CLI::App& app) {
  auto a = std::make_shared<GenerateArguments>();
  SamplerOptions& s = a->options.sampler;
  app.add_option("model", a->model, "a Hugging Face folder or a .gguf file")->required();
  app.add_option("prompt", a->prompt, "the text to go on from; - reads it from standard input")->required();
  auto* chat = app.add_flag("--chat", a->chat, "ask with the model's own chat template; only the answer is printed");
  app.add_option("--system", a->system, "what the model is told before the question")->needs(chat);
  app.add_option("--history", a->history,
                 "a JSON file with the messages before: [{\"role\": ..., \"content\": ...}, ...]")
      ->needs(chat);
  app.add_option("-n,--max-tokens", a->options.max_tokens, "tokens to write")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--context", a->options.context, "tokens of prompt and answer together (0: as needed)")
      ->check(CLI::NonNegativeNumber);
  add_kv(app, a->kv, "as the model says");
  add_activations(app, a->activations, "as the model says");
  app.add_option("-t,--temperature", s.temperature, "0: always the most likely token")->capture_default_str();
  app.add_option("--top-k", s.top_k, "keep the K most likely (0: all)")->capture_default_str();
  app.add_option("--top-p", s.top_p, "keep the fewest that reach this probability")->capture_default_str();
  app.add_option("--min-p", s.min_p, "keep those with this share of the best one's probability")->capture_default_str();
  app.add_option("--repetition-penalty", s.repetition_penalty, "1: none")->capture_default_str();
  app.add_option("--seed", s.seed, "the same seed gives the same text")->capture_default_str();
  app.add_option("--stop", a->options.stop_strings, "end before this text (may be given more than once)")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--ignore-end", a->options.ignore_end, "go on past end tokens");
  app.add_flag("-q,--quiet", a->quiet, "the generated text alone");
  app.add_flag("--json", a->json, "machine-readable output");
  add_threads(app);
  app.callback([a] {
    if (!a->kv.empty()) a->options.kv = KvSpec(a->kv);
    if (!a->activations.empty()) a->options.activations = ActSpec(a->activations);
    run(*a);
  });
}

}  // namespace

extern const Command generate_command;
const Command generate_command = {"generate", "go on from a prompt, streaming the text",
                                  "  pith generate model.gguf 'Once upon a time' -n 100\n"
                                  "  pith generate model/ 'Dear Sir,' -t 0.8 --top-p 0.95 --seed 7\n"
                                  "  pith generate model.gguf 'Why is the sky blue?' --chat --system 'Be brief.'\n"
                                  "  pith generate model.gguf 'And at night?' --chat --history talk.json\n"
                                  "  pith generate model.gguf - --kv kivi:bits=4,residual=128 < prompt.txt\n"
                                  "  pith generate model.gguf - --json < prompt.txt",
                                  set_up};

}  // namespace pith::cli
