#include "eval/window_runner.h"

#include <algorithm>

#include "core/error.h"

namespace pith {
namespace {

dim inputs_of(const Window& window) { return dim(window.tokens.size()) - 1; }

dim rows_of(const Window& window, dim begin, dim end) {
  return end - std::min(end, std::max(begin, window.first_scored - 1));
}

// Cuts one window that is too large for a step into parts of its own.
void cut_large(const WindowSet& set, dim w, dim max_tokens, dim max_rows, std::vector<WindowStep>& steps, dim& row) {
  const Window& window = set.windows[std::size_t(w)];
  for (dim begin = 0; begin < inputs_of(window);) {
    dim end = std::min(begin + max_tokens, inputs_of(window));
    end = std::min(end, std::max(begin, window.first_scored - 1) + max_rows);
    const dim rows = rows_of(window, begin, end);
    steps.push_back({.parts = {{w, begin, end}}, .first_row = row, .rows = rows, .tokens = end - begin});
    row += rows;
    begin = end;
  }
}

dim longest_batch(std::span<const WindowStep> steps) {
  std::size_t most = 1;
  for (const WindowStep& step : steps) most = std::max(most, step.parts.size());
  return dim(most);
}

}  // namespace

std::vector<WindowStep> plan_steps(const WindowSet& set, dim max_tokens, dim max_rows) {
  max_tokens = std::max<dim>(max_tokens, 1);
  max_rows = std::max<dim>(max_rows, 1);
  std::vector<WindowStep> steps;
  dim row = 0;
  bool open = false;  // the last step may take more windows
  for (dim w = 0; w < dim(set.windows.size()); ++w) {
    const Window& window = set.windows[std::size_t(w)];
    const dim tokens = inputs_of(window), rows = window.scored();
    if (tokens > max_tokens || rows > max_rows) {
      cut_large(set, w, max_tokens, max_rows, steps, row);
      open = false;
      continue;
    }
    if (!open || steps.back().tokens + tokens > max_tokens || steps.back().rows + rows > max_rows)
      steps.push_back({.parts = {}, .first_row = row, .rows = 0, .tokens = 0});
    open = true;
    WindowStep& step = steps.back();
    step.parts.push_back({w, 0, tokens});
    step.rows += rows;
    step.tokens += tokens;
    row += rows;
  }
  return steps;
}

std::vector<Token> scored_targets(const WindowSet& set) {
  std::vector<Token> targets;
  targets.reserve(std::size_t(set.tokens_scored));
  for (const Window& window : set.windows)
    targets.insert(targets.end(), window.tokens.begin() + window.first_scored, window.tokens.end());
  return targets;
}

std::vector<dim> scored_sizes(const WindowSet& set) {
  std::vector<dim> sizes;
  sizes.reserve(set.windows.size());
  for (const Window& window : set.windows) sizes.push_back(window.scored());
  return sizes;
}

RowPlace place_of_row(const WindowSet& set, dim row) {
  dim w = 0;
  for (const Window& window : set.windows) {
    if (row < window.scored()) return {w, window.first_scored - 1 + row};
    row -= window.scored();
    ++w;
  }
  PITH_CHECK(!"the row is past the last window");
  return {};
}

dim windows_ended_by(const WindowStep& step, const WindowSet& set) {
  dim ended = 0;
  for (const WindowPart& part : step.parts)
    if (part.end == inputs_of(set.windows[std::size_t(part.window)])) ++ended;
  return ended;
}

WindowRunner::WindowRunner(const Model& model, const WindowSet& set, std::span<const WindowStep> steps,
                           const std::optional<KvSpec>& kv, const ActPlan* act, bool fast)
    : set_(set),
      network_(model, act, !fast),
      forward_(network_.network()),
      cache_(model.config(), longest_batch(steps), set.context, kv ? *kv : model.run_time().kv) {}

void WindowRunner::run(const WindowStep& step, const Forward::LogitsSink& sink) {
  std::vector<Chunk> chunks;
  for (std::size_t i = 0; i < step.parts.size(); ++i) {
    const WindowPart& part = step.parts[i];
    const Window& window = set_.windows[std::size_t(part.window)];
    if (part.begin == 0) cache_.truncate(dim(i), 0);
    const dim length = part.end - part.begin;
    chunks.push_back({.sequence = dim(i),
                      .tokens = std::span(window.tokens).subspan(std::size_t(part.begin), std::size_t(length)),
                      .logits_from = length - rows_of(window, part.begin, part.end)});
  }
  forward_.run(cache_, chunks,
               [&](dim first_row, const float* logits, dim rows) { sink(step.first_row + first_row, logits, rows); });
}

}  // namespace pith
