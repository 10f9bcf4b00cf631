#include "eval/likelihood/greedy_texts.h"

#include <algorithm>

#include "core/error.h"
#include "ops/logsumexp.h"

namespace pith {
namespace {

constexpr dim kMostTogether = 16;

Token likeliest_token(const float* logits, dim vocab) {
  const float max = scan_row(logits, vocab).max;
  return Token(std::find(logits, logits + vocab, max) - logits);
}

// Cut before the first of the stop strings; whether there was one.
bool cut_at_stop(std::string& text, std::span<const std::string> until) {
  auto first = text.npos;
  for (const std::string& stop : until)
    if (!stop.empty()) first = std::min(first, text.find(stop));
  if (first == text.npos) return false;
  text.resize(first);
  return true;
}

class Batch {
 public:
  Batch(Likelihoods& engine, std::span<const std::vector<Token>> prompts, const GreedyOptions& options,
        std::span<GreedyText> answers)
      : engine_(engine),
        prompts_(prompts),
        options_(options),
        answers_(answers),
        end_tokens_(engine.model().tokenizer().end_tokens()),
        vocab_(engine.model().config().vocab),
        next_(prompts.size(), -1) {}

  void run(dim capacity) {
    KvCache cache(engine_.model().config(), dim(prompts_.size()), capacity, engine_.kv());
    read_prompts(cache);
    for (dim made = 1; !live_.empty(); ++made) {
      std::erase_if(live_, [&](dim s) { return !accept(s, made); });
      if (live_.empty()) return;
      std::vector<Chunk> chunks;
      for (const dim s : live_) chunks.push_back({s, {&next_[std::size_t(s)], 1}, 0});
      step(cache, chunks);
    }
  }

 private:
  void step(KvCache& cache, std::span<const Chunk> chunks) {
    engine_.count(chunks);
    std::vector<Token> drawn(chunks.size());
    engine_.forward().run(cache, chunks, [&](dim first_row, const float* logits, dim rows) {
      for (dim r = 0; r < rows; ++r) drawn[std::size_t(first_row + r)] = likeliest_token(logits + r * vocab_, vocab_);
    });
    for (std::size_t i = 0; i < chunks.size(); ++i)
      if (chunks[i].logits_from < dim(chunks[i].tokens.size())) next_[std::size_t(chunks[i].sequence)] = drawn[i];
  }

  void read_prompts(KvCache& cache) {
    dim shared = prompts_.size() > 1 ? dim(prompts_[0].size()) : 0;
    for (const auto& prompt : prompts_)
      shared = std::min({shared, common_prefix(prompts_[0], prompt), dim(prompt.size()) - 1});
    if (shared > 0) {
      const Chunk chunk = {0, std::span(prompts_[0]).first(std::size_t(shared)), shared};
      step(cache, {&chunk, 1});
      for (dim s = 1; s < dim(prompts_.size()); ++s) cache.copy(0, s);
    }
    std::vector<Chunk> chunks;
    for (dim s = 0; s < dim(prompts_.size()); ++s) {
      const auto rest = std::span(prompts_[std::size_t(s)]).subspan(std::size_t(shared));
      chunks.push_back({s, rest, dim(rest.size()) - 1});
      live_.push_back(s);
    }
    step(cache, chunks);
  }

  // Takes the token drawn last; whether the answer goes on.
  bool accept(dim s, dim made) {
    GreedyText& answer = answers_[std::size_t(s)];
    const Token token = next_[std::size_t(s)];
    if (!options_.ignore_end && std::find(end_tokens_.begin(), end_tokens_.end(), token) != end_tokens_.end())
      return false;
    answer.tokens.push_back(token);
    answer.text = engine_.model().tokenizer().decode(answer.tokens);
    return !cut_at_stop(answer.text, options_.until) && made < options_.max_tokens;
  }

  Likelihoods& engine_;
  std::span<const std::vector<Token>> prompts_;
  const GreedyOptions& options_;
  std::span<GreedyText> answers_;
  std::vector<Token> end_tokens_;
  dim vocab_;
  std::vector<Token> next_;
  std::vector<dim> live_;
};

}  // namespace

GreedyTexts greedy_texts(Likelihoods& engine, std::span<const std::vector<Token>> prompts, const GreedyOptions& options,
                         const GreedyDone& done) {
  const Config& config = engine.model().config();
  GreedyTexts answers(prompts.size());
  for (std::size_t first = 0; first < prompts.size();) {
    dim capacity = 1;
    std::size_t last = first;
    for (; last < prompts.size() && dim(last - first) < kMostTogether; ++last) {
      if (prompts[last].empty()) throw input_error("evaluation", "expected a prompt of at least one token, got none");
      const dim need = std::max(capacity, dim(prompts[last].size()) + options.max_tokens);
      if (last > first &&
          KvCache::bytes(config, dim(last - first) + 1, need, engine.kv()) > engine.options().cache_bytes)
        break;
      capacity = need;
    }
    Batch(engine, prompts.subspan(first, last - first), options, std::span(answers).subspan(first, last - first))
        .run(capacity);
    if (done) done(dim(first), dim(last), answers);
    first = last;
  }
  return answers;
}

}  // namespace pith
