#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/answer_options.h"
#include "cli/command.h"
#include "cli/line_reader.h"
#include "core/error.h"
#include "io/files.h"
#include "serve/dialogue.h"

namespace pith::cli {

namespace {

constexpr dim kContext = 4096;  // unless asked for more; keys and values of all tokens stay in memory

struct ChatArguments : AnswerArguments {
  std::string system, history;
};

constexpr const char* kHelp =
    "/reset          forget the conversation, but not the system message\n"
    "/system [TEXT]  replace the system message, and forget the conversation\n"
    "/save FILE      write the messages as JSON, for --history\n"
    "/quit           end; so does Ctrl-D. Ctrl-C ends an answer\n";

class Chat {
 public:
  Chat(const ChatArguments& a, AnswerModels& models)
      : a_(a),
        model_(models.model),
        session_(models.model, models.session),
        dialogue_(models.model, session_),
        terminal_(is_terminal() && !a.json) {
    if (!a.history.empty()) dialogue_.set_messages(messages_of_json(read_text_file(a.history), a.history));
    if (!a.system.empty()) dialogue_.set_system(a.system);
    load_prompt_cache(session_, a);
  }
  void run();

 private:
  bool command(const std::string& line);  // false: the end
  void save(const std::string& path);
  void answer(const std::string& question);
  void say(const std::string& text) const { fmt::print(stderr, "{}", text); }

  const ChatArguments& a_;
  const Model& model_;
  Session session_;
  Dialogue dialogue_;
  bool terminal_;
  bool failed_ = false;
  nlohmann::ordered_json answers_ = nlohmann::ordered_json::array();
};

void Chat::save(const std::string& path) {
  std::ofstream out(path);
  const auto messages = nlohmann::ordered_json::parse(messages_json(dialogue_.messages()));
  if (!(out << messages.dump(2) << "\n" << std::flush)) say("cannot write " + path + "\n");
}

bool Chat::command(const std::string& line) {
  const std::size_t space = line.find(' ');
  const std::string name = line.substr(0, space);
  const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
  if (name == "/quit") return false;
  if (name == "/reset") {
    dialogue_.reset();
  } else if (name == "/system") {
    dialogue_.reset();
    dialogue_.set_system(rest);
  } else if (name == "/save" && !rest.empty()) {
    save(rest);
  } else {
    say(kHelp);
  }
  return true;
}

void Chat::answer(const std::string& question) {
  GenerateOptions options = a_.options;
  options.interrupted = &InterruptGuard::flag;
  InterruptGuard::flag = false;
  GenerateResult result;
  try {
    result = dialogue_.ask(question, options, [&](std::string_view piece) {
      if (!a_.json) print(std::string(piece));
      return !InterruptGuard::flag;
    });
  } catch (const Error& e) {
    if (e.blame() != Blame::input) throw;
    failed_ = true;
    return say(std::string("pith: ") + e.what() + "\n");
  }
  if (!a_.json) print("\n");
  if (!a_.quiet) {
    say(fmt::format("[{}]\n", summary(result)));
    if (dialogue_.left_out() > 0)
      say(fmt::format("[the context is full: without the first {} messages]\n", dialogue_.left_out()));
  }
  answers_.push_back({{"text", result.text},
                      {"tokens", result.tokens},
                      {"stop", name_of(result.reason)},
                      {"prompt_tokens", result.prompt_tokens},
                      {"reused_tokens", result.reused_tokens},
                      {"left_out", dialogue_.left_out()},
                      {"shifts", result.shifts},
                      {"drafted", result.drafted},
                      {"accepted", result.accepted},
                      {"tokens_per_second", rate(dim(result.tokens.size()), result.decode_seconds)}});
  InterruptGuard::flag = false;
}

void Chat::run() {
  const InterruptGuard guard;
  LineReader reader;
  if (terminal_)
    say(fmt::format("{}, {} tokens of context; /help lists the commands\n", a_.model, session_.capacity()));
  std::string line;
  for (;;) {
    if (terminal_) print("> ");
    const LineReader::Got got = reader.next(line);
    if (got == LineReader::Got::end) break;
    if (got == LineReader::Got::interrupted) {
      print("\n");
      say("/quit or Ctrl-D ends\n");
      continue;
    }
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (line[0] == '/') {
      if (!command(line)) break;
    } else {
      answer(line);
    }
  }
  save_prompt_cache(session_, a_);
  if (!a_.json) return;
  const nlohmann::ordered_json out = {{"model", a_.model},
                                      {"messages", nlohmann::ordered_json::parse(messages_json(dialogue_.messages()))},
                                      {"answers", answers_}};
  print(out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  if (failed_) throw input_error("chat", "not every question was answered");
}

void run(const ChatArguments& a) {
  AnswerModels models(a);
  if (models.model.tokenizer().chat_template().empty())
    throw Error(Blame::input, "chat template", "the model has none", "use a model trained to chat, or `pith generate`");
  const dim limit = models.model.config().context;
  if (models.session.context == 0) models.session.context = limit > 0 ? std::min(limit, kContext) : kContext;
  Chat(a, models).run();
}

void set_up(CLI::App& app) {
  auto a = std::make_shared<ChatArguments>();
  a->options.max_tokens = 512;
  app.add_option("model", a->model, "a Hugging Face folder or a .gguf file")->required();
  app.add_option("--system", a->system, "what the model is told before all else");
  app.add_option("--history", a->history, "a JSON file with the messages before, as /save writes it");
  app.add_option("--context", a->session.context,
                 "tokens that the model sees at once; the oldest messages are left out beyond (0: up to 4096)")
      ->check(CLI::NonNegativeNumber);
  add_answer_options(app, *a);
  app.add_flag("-q,--quiet", a->quiet, "the answers alone");
  app.add_flag("--json", a->json, "at the end, all messages and what each answer took");
  app.callback([a] { run(*a); });
}

}  // namespace

extern const Command chat_command;
const Command chat_command = {"chat", "talk with a model in the terminal",
                              "  pith chat model.gguf --system 'Be brief.'\n"
                              "  pith chat model/ -t 0.8 --top-p 0.95 --speculative model-q4.gguf\n"
                              "  pith chat model.gguf --prompt-cache talk.kv --history talk.json\n"
                              "  printf 'Hello!\\nWho are you?\\n' | pith chat model.gguf --json",
                              set_up};

}  // namespace pith::cli
