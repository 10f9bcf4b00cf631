#include "serve/batch/batch_engine.h"

#include <algorithm>
#include <deque>
#include <thread>

#include "core/error.h"
#include "core/parallel.h"
#include "core/stopwatch.h"
#include "model/fast_network.h"
#include "serve/batch/active_request.h"

namespace pith {

namespace {

// From so many rows on, a product in f32 gives each row the same bits however many there are. Products from panels
// always do.
constexpr dim kSteadyRows = 8;

bool from_panels(const Linear& linear) {
  return !linear.weight || (linear.panels && (!linear.inner || linear.inner_panels) && !linear.low_rank &&
                            !(linear.act && linear.act->on()));
}

bool all_from_panels(const Network& n) {
  if ((n.act && n.act->on()) || !from_panels(n.lm_head)) return false;
  return std::all_of(n.blocks.begin(), n.blocks.end(), [](const Block& b) {
    for (const Linear* l : {&b.q, &b.k, &b.v, &b.qkv, &b.o, &b.gate, &b.up, &b.gate_up, &b.down, &b.router,
                            &b.shared_router, &b.shared.gate, &b.shared.up, &b.shared.down})
      if (!from_panels(*l)) return false;
    return std::all_of(b.experts.begin(), b.experts.end(),
                       [](const Expert& e) { return from_panels(e.gate) && from_panels(e.up) && from_panels(e.down); });
  });
}

const KvSpec& kv_of(const Model& model, const BatchOptions& options) {
  return options.kv ? *options.kv : model.run_time().kv;
}

// Who wants a row of logits of the run: the score of the prompt's token `scored`, or the next token.
struct Row {
  ActiveRequest* request = nullptr;  // null: nobody
  dim scored = -1;
};

}  // namespace

struct BatchEngine::Impl {
  const Model& model;
  const BatchOptions options;
  const FastNetwork network;
  Forward forward;
  const bool pads;  // small runs are filled up with rows that nobody wants
  KvCache cache;    // one sequence more than slots, for rows that nobody wants
  std::vector<std::unique_ptr<ActiveRequest>> slots;
  std::vector<std::vector<Token>> held;  // what each sequence of the cache holds

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::unique_ptr<ActiveRequest>> queue;
  BatchCounts counts;
  bool stopping = false;
  std::optional<Clock::time_point> deadline;
  std::thread thread;

  Impl(const Model& m, const BatchOptions& o)
      : model(m),
        options(o),
        network(m, options.activations ? &options.activations->plan() : nullptr, o.exact),
        forward(network.network()),
        pads(o.steady && o.slots > 1 && !all_from_panels(network.network())),
        cache(m.config(), o.slots + 1, o.context, kv_of(m, o)),
        slots(std::size_t(o.slots)),
        held(std::size_t(o.slots)) {
    counts.slots = o.slots;
    counts.kv_bytes = cache.size_bytes();
    thread = std::thread([this] { work(); });
  }

  void work();
  bool wait_for_work();
  void admit();
  std::size_t best_slot(const std::vector<Token>& prompt) const;
  void drop_the_gone();
  void step();
  std::vector<Row> plan(std::vector<Chunk>& chunks);
  void use(const Row& row, std::span<const float> logits) const;
  void advance(std::size_t slot);
  void finish(std::size_t slot, StopReason reason);
  void fail(ActiveRequest& request, const std::string& why, bool stopped);
  void fail_all(const std::string& why, bool stopped);
  dim active() const {
    return std::count_if(slots.begin(), slots.end(), [](const auto& slot) { return slot != nullptr; });
  }
};

void BatchEngine::Impl::work() {
  while (wait_for_work()) {
    drop_the_gone();
    admit();
    if (active() == 0) continue;
    try {
      step();
    } catch (const std::exception& e) {
      // Which request is at fault is not known, and what the cache holds is not either.
      cache.clear();
      for (auto& tokens : held) tokens.clear();
      fail_all(e.what(), false);
    }
  }
  fail_all("the server is stopping", true);
}

// False: the end.
bool BatchEngine::Impl::wait_for_work() {
  std::unique_lock lock(mutex);
  counts.active = active();
  changed.wait(lock, [&] { return stopping || counts.active > 0 || !queue.empty(); });
  if (!stopping) return true;
  return (counts.active > 0 || !queue.empty()) && Clock::now() < *deadline;
}

// A free slot, the one that knows most of the prompt. Encoded caches cannot go back exactly, so they start anew.
std::size_t BatchEngine::Impl::best_slot(const std::vector<Token>& prompt) const {
  std::size_t best = slots.size(), most = 0;
  for (std::size_t s = 0; s < slots.size(); ++s) {
    if (slots[s]) continue;
    const auto end = std::mismatch(prompt.begin(), prompt.end(), held[s].begin(), held[s].end()).first;
    const auto common = std::size_t(end - prompt.begin());
    const bool emptier = best < slots.size() && common == most && held[s].size() < held[best].size();
    if (best == slots.size() || common > most || emptier) best = s, most = common;
  }
  return best;
}

void BatchEngine::Impl::admit() {
  const std::lock_guard lock(mutex);
  while (!queue.empty()) {
    const std::size_t s = best_slot(queue.front()->text);
    if (s == slots.size()) break;
    std::unique_ptr<ActiveRequest> request = std::move(queue.front());
    queue.pop_front();
    const auto end = std::mismatch(request->text.begin(), request->text.end(), held[s].begin(), held[s].end()).first;
    dim common = std::min(dim(end - request->text.begin()), dim(request->text.size()) - 1);
    if (cache.encoded() || request->scores_prompt()) common = 0;
    cache.truncate(dim(s), common);
    held[s].resize(std::size_t(common));
    request->read = common;
    request->started = Clock::now();
    request->ticket->tell([&](TicketNews& news) {
      news.state = TicketState::running;
      news.reused_tokens = common;
    });
    counts.prompt_tokens += dim(request->text.size());
    counts.reused_tokens += common;
    slots[s] = std::move(request);
  }
  counts.active = active();
  counts.waiting = dim(queue.size());
}

void BatchEngine::Impl::drop_the_gone() {
  dim gone = 0;
  for (auto& slot : slots)
    if (slot && slot->ticket->cancelled()) slot.reset(), ++gone;
  const std::lock_guard lock(mutex);
  gone += dim(std::erase_if(queue, [](const auto& request) { return request->ticket->cancelled(); }));
  counts.cancelled += gone;
}

// The next tokens of all: one of each that writes, and pieces of prompts, the first slots first, in what is left.
std::vector<Row> BatchEngine::Impl::plan(std::vector<Chunk>& chunks) {
  static const std::vector<Token> padding(std::size_t(kSteadyRows), 0);
  std::vector<Row> rows;
  dim prompt_room = options.prompt_piece, tokens = 0;
  for (std::size_t s = 0; s < slots.size(); ++s) {
    if (!slots[s]) continue;
    ActiveRequest& r = *slots[s];
    const dim left = dim(r.text.size()) - r.read;
    r.count = r.writing() ? left : std::min(left, prompt_room);
    if (!r.writing()) prompt_room -= r.count;
    r.samples = r.count == left;
    if (r.count == 0) continue;
    dim from = r.samples ? r.count - 1 : r.count;
    if (!r.writing() && r.scores_prompt()) from = 0;
    chunks.push_back({dim(s), std::span(r.text).subspan(std::size_t(r.read), std::size_t(r.count)), from});
    for (dim i = from; i < r.count; ++i)
      rows.push_back({&r, r.read + i + 1 < dim(r.text.size()) ? r.read + i + 1 : -1});
    tokens += r.count;
  }
  if (!pads) return rows;
  const dim fewest = rows.empty() ? tokens : dim(rows.size());
  if (fewest >= kSteadyRows) return rows;
  const auto missing = std::size_t(kSteadyRows - fewest);
  chunks.push_back({options.slots, std::span(padding).first(missing), 0});
  rows.resize(rows.size() + missing);
  return rows;
}

void BatchEngine::Impl::use(const Row& row, std::span<const float> logits) const {
  if (!row.request) return;
  ActiveRequest& r = *row.request;
  const int count = r.request.options.logprobs;
  if (row.scored >= 0) {
    r.prompt_scores[std::size_t(row.scored - r.read - 1)] = score_token(logits, r.text[std::size_t(row.scored)], count);
    return;
  }
  r.drawn = r.sampler.sample(logits, r.text);
  if (count >= 0) r.drawn_score = score_token(logits, r.drawn, count);
}

void BatchEngine::Impl::step() {
  std::vector<Chunk> chunks;
  const std::vector<Row> rows = plan(chunks);
  for (const auto& slot : slots)
    if (slot && !slot->writing() && slot->scores_prompt())
      slot->prompt_scores.resize(std::size_t(slot->count - (slot->samples ? 1 : 0)));
  const auto start = Clock::now();
  const dim vocab = model.config().vocab;
  forward.run(cache, chunks, [&](dim first, const float* logits, dim count) {
    parallel_for(count, [&](dim i) { use(rows[std::size_t(first + i)], {logits + i * vocab, std::size_t(vocab)}); });
  });
  cache.truncate(options.slots, 0);
  {
    const std::lock_guard lock(mutex);
    ++counts.runs;
    counts.run_seconds += seconds_since(start);
    for (const Chunk& chunk : chunks) counts.rows += dim(chunk.tokens.size());
  }
  for (std::size_t s = 0; s < slots.size(); ++s)
    if (slots[s] && slots[s]->count > 0) advance(s);
}

// What the run gave this request.
void BatchEngine::Impl::advance(std::size_t s) {
  ActiveRequest& r = *slots[s];
  held[s].insert(held[s].end(), r.text.begin() + r.read, r.text.begin() + r.read + r.count);
  r.read += r.count;
  if (!r.prompt_scores.empty()) {
    r.ticket->tell([&](TicketNews& news) {
      for (TokenScore& score : r.prompt_scores) news.prompt_scores.push_back(std::move(score));
    });
    r.prompt_scores.clear();
  }
  if (seconds_since(r.started) > options.max_seconds) return finish(s, StopReason::interrupted);
  if (!r.samples) return;
  if (r.answer.enough()) return finish(s, StopReason::max_tokens);  // nothing but the prompt was asked for
  std::string text;
  const bool goes_on = r.answer.add(r.drawn, std::move(r.drawn_score), [&](std::string_view piece) {
    text += piece;
    return true;
  });
  const bool counted = goes_on || r.answer.reason != StopReason::stop_token;
  if (r.answer.tokens.size() == 1) r.wrote_first = Clock::now();
  r.ticket->tell([&](TicketNews& news) {
    news.text += text;
    if (r.answer.end_score) news.end_score = std::move(r.answer.end_score);
    if (!counted) return;
    news.writing_seconds = seconds_since(r.wrote_first);
    news.tokens.push_back(r.answer.tokens.back());
    if (!r.answer.scores.empty()) news.scores.push_back(r.answer.scores.back());
  });
  if (counted) {
    const std::lock_guard lock(mutex);
    ++counts.generated_tokens;
  }
  if (!goes_on) return finish(s, r.answer.reason);
  r.text.push_back(r.drawn);
  if (dim(r.text.size()) >= options.context) finish(s, StopReason::context_full);
}

void BatchEngine::Impl::finish(std::size_t s, StopReason reason) {
  ActiveRequest& r = *slots[s];
  std::string rest;
  r.answer.finish(reason, [&](std::string_view piece) {
    rest += piece;
    return true;
  });
  {
    const std::lock_guard lock(mutex);
    ++counts.finished;
  }
  r.ticket->tell([&](TicketNews& news) {
    news.text += rest;
    news.state = TicketState::done;
    news.reason = r.answer.reason;
  });
  slots[s].reset();
}

void BatchEngine::Impl::fail(ActiveRequest& request, const std::string& why, bool stopped) {
  request.ticket->tell([&](TicketNews& news) {
    news.state = TicketState::failed;
    news.error = why;
    news.server_stopped = stopped;
  });
}

// With `stopped` also those that wait, and nobody comes after.
void BatchEngine::Impl::fail_all(const std::string& why, bool stopped) {
  const std::lock_guard lock(mutex);
  for (auto& slot : slots) {
    if (!slot) continue;
    fail(*slot, why, stopped);
    slot.reset();
    ++counts.failed;
  }
  counts.active = 0;
  if (!stopped) return;
  for (auto& request : queue) {
    fail(*request, why, stopped);
    ++counts.failed;
  }
  queue.clear();
  counts.waiting = 0;
}

BatchEngine::BatchEngine(const Model& model, const BatchOptions& options) {
  const auto check = [](bool good, const char* name, dim got) {
    if (!good) throw input_error(name, "expected a number from 1, got {}", got);
  };
  check(options.slots >= 1, "slots", options.slots);
  check(options.prompt_piece >= 1, "prompt-piece", options.prompt_piece);
  if (options.context < kSteadyRows)
    throw input_error("context", "expected at least {} tokens, got {}", kSteadyRows, options.context);
  impl_ = std::make_unique<Impl>(model, options);
}

BatchEngine::~BatchEngine() { stop(0); }

std::shared_ptr<Ticket> BatchEngine::submit(BatchRequest request) {
  const dim size = dim(request.prompt.size()), most = impl_->options.context - 1;
  if (size < 1 || size > most) throw input_error("prompt", "expected 1 ... {} tokens, got {}", most, size);
  for (const Token t : request.prompt)
    if (t < 0 || t >= impl_->model.config().vocab)
      throw input_error("prompt", "expected tokens in 0 ... {}, got {}", impl_->model.config().vocab - 1, t);
  auto ticket = std::make_shared<Ticket>();
  auto active = std::make_unique<ActiveRequest>(std::move(request), ticket, impl_->model.tokenizer());
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopping || dim(impl_->queue.size()) >= impl_->options.waiting) {
      ++impl_->counts.refused;
      return nullptr;
    }
    ++impl_->counts.accepted;
    impl_->queue.push_back(std::move(active));
    impl_->counts.waiting = dim(impl_->queue.size());
  }
  impl_->changed.notify_all();
  return ticket;
}

void BatchEngine::stop(double patience_seconds) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->deadline =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(patience_seconds));
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

BatchCounts BatchEngine::counts() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->counts;
}

const Model& BatchEngine::model() const { return impl_->model; }
dim BatchEngine::context() const { return impl_->options.context; }

}  // namespace pith
