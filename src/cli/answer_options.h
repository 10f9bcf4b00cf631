// What `generate` and `chat` have in common on the command line.
#pragma once
#include <optional>
#include <string>

#include "serve/session.h"

namespace CLI {
class App;
}

namespace pith::cli {

struct AnswerArguments {
  std::string model, draft, kv, activations, prompt_cache;
  GenerateOptions options;
  SessionOptions session;  // without the draft
  bool json = false, quiet = false;
};

// All but the model itself.
void add_answer_options(CLI::App& app, AnswerArguments& a);

// Opened as the arguments say; a session made with `session` must not outlive this.
struct AnswerModels {
  explicit AnswerModels(const AnswerArguments& a);
  SessionOptions session;  // first: faults in what was asked for show before any work
  Model model;
  std::optional<Model> draft;
};

// Reads --prompt-cache, with a note on standard error when there is none to use, and writes it. Error(input) when keys
// and values are encoded.
void load_prompt_cache(Session& session, const AnswerArguments& a);
void save_prompt_cache(const Session& session, const AnswerArguments& a);

double rate(dim tokens, double seconds);  // a second; 0 when no time has passed
// "12 prompt tokens, 340/s; 20 tokens, 31.0/s; 12 of 16 drafted tokens accepted; stop_token"
std::string summary(const GenerateResult& r);

}  // namespace pith::cli
