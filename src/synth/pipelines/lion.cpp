// One round of Lion: the teacher's answers to imitate; where the student falls behind, judged by the teacher; and new
// instructions, half of them like those. The next round begins with the student that was trained on the result.
#include <fmt/format.h>

#include <cmath>

#include "synth/instructions.h"
#include "synth/pipeline.h"
#include "synth/pipelines/verdict.h"

namespace pith::synth {

namespace {

constexpr dim kTeacher = 1, kStudent = 2, kReferee = 3, kLists = 4, kShown = 5, kAnswers = 6;

// How far the teacher's answer is ahead, over both orders of showing the two; without a verdict: nothing.
std::vector<std::optional<double>> gaps(Run& run, const std::vector<Reply>& teacher,
                                        const std::vector<Reply>& student) {
  std::vector<Request> requests;
  for (std::size_t i = 0; i < run.seeds.size(); ++i)
    for (const bool teacher_first : {true, false}) {
      const std::string &a = teacher_first ? teacher[i].text : student[i].text,
                        &b = teacher_first ? student[i].text : teacher[i].text;
      requests.push_back(
          run.request(user(referee_prompt(run.seeds[i].question, a, b)), kReferee, dim(requests.size())));
      requests.back().sampling.temperature = 0;
      requests.back().sampling.max_tokens = 64;
    }
  const auto replies = run.ask("verdicts", requests);
  std::vector<std::optional<double>> out;
  for (std::size_t i = 0; i < run.seeds.size(); ++i) {
    const auto first = scores_in(replies[2 * i].text), second = scores_in(replies[2 * i + 1].text);
    if (!first || !second) {
      run.drop("verdict");
      out.emplace_back();
    } else {
      out.emplace_back(((first->first - first->second) + (second->second - second->first)) / 2);
    }
  }
  return out;
}

std::vector<NewInstruction> more_like(Run& run, InstructionPool& pool, const std::vector<std::string>& examples,
                                      bool hard, dim count) {
  if (examples.empty()) return {};
  const auto make = [&](dim index, const std::vector<NewInstruction>&) {
    const dim draw = 2 * index + (hard ? 0 : 1);
    Rng rng = run.rng(kShown, draw);
    std::vector<std::string> shown;
    for (const std::size_t i : draw_some(rng, examples.size(), 3)) shown.push_back(examples[i]);
    return run.request(
        user(fmt::format("Instructions:\n{}\nWrite 5 new instructions {}. Each is complete in itself. Write them as a "
                         "numbered list, one a line, without answers.",
                         numbered(shown),
                         hard ? "of the same field and kind of task, as difficult or a little more"
                              : "of another, rarer topic but the same kind of task")),
        kLists, draw);
  };
  auto all = grow_instructions(run, pool, hard ? "hard instructions" : "other instructions", count, make);
  for (NewInstruction& n : all) n.stage = hard ? "hard" : "other";
  return all;
}

void imitate(Run& run, const std::vector<Request>& requests, const std::vector<Reply>& replies,
             const std::vector<std::optional<double>>& gap) {
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (!run.usable(replies[i])) continue;
    Record record;
    record.messages = pair_of(run.seeds[i].conversation(), trimmed(replies[i].text));
    record.source = run.seeds[i].source;
    record.stage = "imitate";
    record.request = requests[i];
    if (gap[i]) record.scores = {{"gap", *gap[i]}};
    run.emit(std::move(record));
  }
}

void run_lion(Run& run) {
  std::vector<Request> of_teacher, of_student;
  for (std::size_t i = 0; i < run.seeds.size(); ++i) {
    of_teacher.push_back(run.request(run.seeds[i].conversation(), kTeacher, dim(i)));
    of_student.push_back(run.request(run.seeds[i].conversation(), kStudent, dim(i)));
  }
  const auto teacher = run.ask("the teacher's answers", of_teacher);
  const auto student = run.student().answer("the student's answers", of_student);
  const auto gap = gaps(run, teacher, student);
  imitate(run, of_teacher, teacher, gap);
  std::vector<std::string> hard, easy;
  for (std::size_t i = 0; i < gap.size(); ++i)
    if (gap[i]) (*gap[i] >= run.options.number("gap") ? hard : easy).push_back(run.seeds[i].question);
  InstructionPool pool(run, run.options.number("rouge"));
  const dim share = hard.empty() || easy.empty() ? run.choice.count : (run.choice.count + 1) / 2;
  std::vector<NewInstruction> fresh = more_like(run, pool, hard, true, share);
  for (NewInstruction& n : more_like(run, pool, easy, false, run.choice.count - dim(fresh.size())))
    fresh.push_back(std::move(n));
  answer_instructions(run, fresh, kAnswers);
}

}  // namespace

extern const Pipeline pipeline_lion;
const Pipeline pipeline_lion = {
    .name = "lion",
    .summary = "one round of imitation, judgement and new instructions where the student falls behind (Lion)",
    .paper = "arXiv:2305.12870",
    .options = {{"gap", "1", "how far behind, of ten points, an instruction is hard", {}, 0, 9}, alike_option()},
    .student = true,
    .run = run_lion};

}  // namespace pith::synth
