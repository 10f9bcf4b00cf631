// Many requests at once on one model: a thread of its own runs the forward pass with the next tokens of all of them
// (continuous batching; Yu et al. 2022, Orca). Requests join and leave between runs; prompts are read in bounded
// pieces, so that those who are writing never wait long.
//
// What a request gets does not depend on who else is there: rows of a run never meet but in attention, which sees one
// sequence. `steady` extends that to the last bit: where products are in f32, runs are kept at least so large that they
// add in one order (kSteadyRows in the .cpp), which costs time while few requests run. Experts whose products are in
// f32 get few rows all the same, and their last bits do depend on the company.
#pragma once
#include <memory>
#include <optional>

#include "serve/batch/ticket.h"

namespace pith {

struct BatchOptions {
  dim slots = 16;            // requests that run at once; each has room for `context` tokens
  dim context = 2048;        // tokens of prompt and answer together
  dim prompt_piece = 256;    // tokens of prompts in one run
  dim waiting = 256;         // requests that may wait for a slot
  double max_seconds = 600;  // of one request once it runs; then it ends as it is
  bool steady = true;
  std::optional<KvSpec> kv = {};
  std::optional<ActSpec> activations = {};
  bool exact = false;  // products in f32
};

struct BatchRequest {
  std::vector<Token> prompt;
  GenerateOptions options;    // shift, keep and interrupted are not looked at
  bool score_prompt = false;  // and where logprobs are asked for: those of the prompt, too
};

// Since the beginning; all but the first four only grow.
struct BatchCounts {
  dim active = 0, waiting = 0, slots = 0, kv_bytes = 0;
  dim accepted = 0, refused = 0, finished = 0, failed = 0, cancelled = 0;
  dim prompt_tokens = 0, reused_tokens = 0, generated_tokens = 0;
  dim runs = 0, rows = 0;  // of the forward pass
  double run_seconds = 0;
};

class BatchEngine {
 public:
  // model must outlive this. Error as of KvCache and Forward.
  BatchEngine(const Model& model, const BatchOptions& options);
  ~BatchEngine();  // as stop(0)

  // Error(input) when the prompt is empty or too long, or an option is out of range. Null when too many wait already or
  // it is stopping.
  std::shared_ptr<Ticket> submit(BatchRequest request);
  // Takes no more requests, lets those that are there finish for so many seconds, then tells the others. Once.
  void stop(double patience_seconds);
  BatchCounts counts() const;
  const Model& model() const;
  dim context() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pith
