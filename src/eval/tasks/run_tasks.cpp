#include "eval/tasks/run_tasks.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/parallel.h"
#include "core/stopwatch.h"
#include "eval/likelihood/greedy_texts.h"
#include "eval/likelihood/pair_tokens.h"
#include "eval/tasks/prompts.h"
#include "io/sha256.h"

namespace pith {
namespace {

// A task with its data read.
struct Prepared {
  Task task;
  TaskData data;
  std::string hash;
};

Prepared prepare(const Model& model, const std::string& name, const TaskOptions& options) {
  Prepared p;
  if (const Task* task = find_task(name))
    p.task = *task;
  else if (name.ends_with(".jsonl"))
    p.task = own_task(name);
  else if (name.ends_with(".json"))
    p.task = big_bench_task(name);
  else {
    std::string names;
    for (const Task* t : all_tasks()) names += (names.empty() ? "" : ", ") + t->name;
    throw input_error("tasks", "expected a .jsonl or .json file or one of {}, got '{}'", names, name);
  }
  TaskFiles files(options.data);
  TaskSource source{files, model.tokenizer(), model.config().context, options.seed};
  p.data = p.task.load(source);
  p.hash = files.hash();
  return p;
}

// The documents that are run: the first `limit` of each narrowest group.
std::vector<dim> chosen(const TaskData& data, dim limit) {
  std::vector<dim> all;
  std::map<std::string, dim> taken;
  for (std::size_t i = 0; i < data.documents.size(); ++i) {
    const auto& groups = data.documents[i].groups;
    if (limit <= 0 || taken[groups.empty() ? "" : groups.back()]++ < limit) all.push_back(dim(i));
  }
  return all;
}

class TaskRun {
 public:
  TaskRun(Likelihoods& engine, const Prepared& prepared, const TaskOptions& options, Progress& progress)
      : engine_(engine), task_(prepared.task), data_(prepared.data), options_(options), progress_(progress) {
    r_.name = task_.name;
    r_.summary = task_.summary;
    r_.form = task_.form;
    r_.version = task_.version;
    r_.output_type = output_type_name(task_.type);
    r_.data_hash = prepared.hash;
    r_.shots = options.shots >= 0 ? options.shots : task_.shots;
    r_.items_in_data = dim(data_.documents.size());
    chosen_ = chosen(data_, options.limit);
  }

  TaskResult run() {
    const Stopwatch watch;
    const dim tokens_before = engine_.tokens_run();
    progress_.begin(task_.name, dim(chosen_.size()));
    write_prompts();
    if (task_.type == OutputType::generation)
      generate();
    else
      score();
    r_.tokens = engine_.tokens_run() - tokens_before;
    r_.metrics = figures([](const ItemResult&) { return true; });
    make_groups();
    r_.seconds = watch.seconds();
    progress_.end();
    return std::move(r_);
  }

 private:
  const Document& document(std::size_t i) const { return data_.documents[std::size_t(chosen_[i])]; }

  void write_prompts() {
    const PromptWriter writer(task_, data_, r_.shots, options_.seed);
    prompts_.resize(chosen_.size());
    r_.items.resize(chosen_.size());
    parallel_for(dim(chosen_.size()), [&](dim at) {
      const auto i = std::size_t(at);
      const Document& d = document(i);
      Prompt& prompt = prompts_[i] = writer.write(chosen_[i]);
      ItemResult& item = r_.items[i];
      item.index = chosen_[i];
      item.id = d.id.empty() ? std::to_string(chosen_[i]) : d.id;
      if (!d.groups.empty()) item.group = d.groups.back();
      item.gold = d.gold;
      item.target = prompt.target;
      Sha256 hash;
      for (const auto* texts : {&prompt.contexts, &prompt.continuations})
        for (const std::string& text : *texts) hash.update(text + '\n');
      hash.update(prompt.target);
      item.hash = hash.hex();
      if (!options_.keep_text) return;
      if (prompt.contexts.size() > 1)
        item.prompts = prompt.contexts;
      else
        item.prompt = prompt.contexts[0];
      item.choices = prompt.continuations;
    });
  }

  void score() {
    const dim most = engine_.model().config().context;
    std::vector<std::vector<Continuation>> pairs(chosen_.size());
    std::vector<char> truncated(chosen_.size(), 0);
    parallel_for(dim(chosen_.size()), [&](dim at) {
      const auto i = std::size_t(at);
      for (std::size_t c = 0; c < prompts_[i].pairs(); ++c) {
        TokenPair pair =
            encode_pair(engine_.model().tokenizer(), prompts_[i].context(c), prompts_[i].continuation(c), most);
        truncated[i] = truncated[i] || pair.truncated;
        pairs[i].push_back(std::move(pair.continuation));
      }
    });
    for (const char t : truncated) r_.truncated += t;
    // Scores arrive batch by batch; each batch's items are settled at once, for the running figure.
    engine_.score(pairs, [&](dim first, dim last, std::span<const std::vector<ContinuationScore>> scores) {
      for (dim i = first; i < last; ++i) {
        ItemResult& item = r_.items[std::size_t(i)];
        const auto& own = scores[std::size_t(i)];
        for (std::size_t c = 0; c < own.size(); ++c)
          item.scores.push_back({own[c].logprob, pairs[std::size_t(i)][c].scored, own[c].greedy});
        if (task_.type == OutputType::choices) item.answer = likeliest(item.scores);
        settle(std::size_t(i));
      }
      tell(first, last);
    });
  }

  void generate() {
    const dim limit = engine_.model().config().context;
    const dim most = limit > 0 ? std::max<dim>(limit - task_.max_tokens, 1) : 0;
    std::vector<std::vector<Token>> prompts(chosen_.size());
    parallel_for(dim(chosen_.size()), [&](dim at) {
      const auto i = std::size_t(at);
      prompts[i] = engine_.model().tokenizer().encode(prompts_[i].contexts[0]);
    });
    for (auto& prompt : prompts) {
      if (most == 0 || dim(prompt.size()) <= most) continue;
      prompt.erase(prompt.begin(), prompt.end() - std::ptrdiff_t(most));
      ++r_.truncated;
    }
    const GreedyOptions how{.until = task_.until, .max_tokens = task_.max_tokens};
    greedy_texts(engine_, prompts, how, [&](dim first, dim last, std::span<GreedyText> answers) {
      for (dim i = first; i < last; ++i) {
        r_.items[std::size_t(i)].text = std::move(answers[std::size_t(i)].text);
        settle(std::size_t(i));
      }
      tell(first, last);
    });
  }

  void settle(std::size_t i) {
    ItemResult& item = r_.items[i];
    for (const Metric* metric : task_.metrics)
      item.values.push_back(metric->of_item(document(i), {item.scores, item.text}));
    item.correct = item.values[0] >= 0.5;
    first_values_.push_back(item.values[0]);
  }

  void tell(dim first, dim last) {
    const TaskMetric now = aggregate(*task_.metrics[0], first_values_);
    progress_.advance(last - first, fmt::format("{} {:.4f} ± {:.4f}", now.name, now.value, 1.96 * now.standard_error));
  }

  template <class Wanted>
  std::vector<TaskMetric> figures(Wanted wanted) const {
    std::vector<TaskMetric> all;
    for (std::size_t m = 0; m < task_.metrics.size(); ++m) {
      std::vector<double> values;
      for (std::size_t i = 0; i < r_.items.size(); ++i)
        if (wanted(r_.items[i])) values.push_back(r_.items[i].values[m]);
      all.push_back(aggregate(*task_.metrics[m], values));
    }
    return all;
  }

  // Each group, in the order in which they are met, the widest first.
  void make_groups() {
    std::size_t deepest = 0;
    for (std::size_t i = 0; i < chosen_.size(); ++i) deepest = std::max(deepest, document(i).groups.size());
    for (std::size_t depth = 0; depth < deepest; ++depth) {
      std::vector<std::string> names;
      std::map<std::string, dim> sizes;
      std::map<std::string, std::string> parents;
      for (std::size_t i = 0; i < chosen_.size(); ++i) {
        if (document(i).groups.size() <= depth) continue;
        const std::string& name = document(i).groups[depth];
        if (sizes[name]++ > 0) continue;
        names.push_back(name);
        if (depth > 0) parents[name] = document(i).groups[depth - 1];
      }
      for (const std::string& name : names)
        r_.groups.push_back({name, parents[name], sizes[name], figures([&](const ItemResult& item) {
                               const auto& groups = data_.documents[std::size_t(item.index)].groups;
                               return groups.size() > depth && groups[depth] == name;
                             })});
    }
  }

  Likelihoods& engine_;
  const Task& task_;
  const TaskData& data_;
  const TaskOptions& options_;
  Progress& progress_;
  TaskResult r_;
  std::vector<dim> chosen_;
  std::vector<Prompt> prompts_;
  std::vector<double> first_values_;
};

}  // namespace

std::vector<TaskResult> run_tasks(const Model& model, std::span<const std::string> names, const TaskOptions& options,
                                  Progress& progress) {
  if (names.empty()) throw input_error("tasks", "expected at least one task, got none");
  std::vector<Prepared> prepared;
  for (const std::string& name : names) prepared.push_back(prepare(model, name, options));
  LikelihoodOptions how;
  how.batch_tokens = options.batch_tokens;
  how.kv = options.kv;
  how.activations = options.activations ? &options.activations->plan() : nullptr;
  how.fast = options.fast;
  Likelihoods engine(model, how);
  std::vector<TaskResult> results;
  for (const Prepared& p : prepared) results.push_back(TaskRun(engine, p, options, progress).run());
  return results;
}

}  // namespace pith
