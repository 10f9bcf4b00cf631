// New instructions out of a teacher's lists, and their answers: what self-instruct, LaMini and Lion have in common.
#pragma once
#include "synth/filters/rouge_pool.h"
#include "synth/run.h"

namespace pith::synth {

// "1. ...", "2) ...", "- ...", "* ...", a line each or several with what follows them. `cut`: the reply did not end by
// itself, so its last item is left out.
std::vector<std::string> list_items(std::string_view reply, bool cut);

// "words", "needs other media" or "form"; "" for an instruction that a text model can follow, as it seems.
std::string_view instruction_fault(std::string_view instruction);

struct NewInstruction {
  std::string text;
  Request request;     // that it was made with
  double nearest = 0;  // ROUGE-L with the nearest that was there before, where it is at least 0.3
  std::string stage;
};

class InstructionPool {
 public:
  // Its instructions are the run's seeds.
  InstructionPool(Run& run, double most_alike);
  // Into the pool unless it has a fault or is too near to one there, which is counted.
  std::optional<NewInstruction> take(const std::string& text, const Request& request);

 private:
  Run& run_;
  double most_alike_;
  RougePool pool_;
};

// Asks for lists, eight at a time, until there are `count` or five rounds have brought nothing. make(index, so far)
// gives the index-th request.
using MakeRequest = std::function<Request(dim index, const std::vector<NewInstruction>& so_far)>;
std::vector<NewInstruction> grow_instructions(Run& run, InstructionPool& pool, std::string_view name, dim count,
                                              const MakeRequest& make);

// The teacher's answers into the output, `samples` for each.
void answer_instructions(Run& run, const std::vector<NewInstruction>& instructions, dim stream);

// So many different ones of 0 ... n - 1, in the order drawn; all where there are fewer.
std::vector<std::size_t> draw_some(Rng& rng, std::size_t n, std::size_t count);

// "1. ...\n2. ...\n"
std::string numbered(const std::vector<std::string>& items);

OptionSpec alike_option();  // of InstructionPool

}  // namespace pith::synth
