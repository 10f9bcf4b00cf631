#include "serve/session.h"

#include <algorithm>

#include "core/error.h"
#include "core/stopwatch.h"
#include "model/fast_network.h"
#include "serve/answer.h"
#include "serve/prompt_cache.h"
#include "serve/speculative.h"
#include "serve/track.h"

namespace pith {

namespace {

const KvSpec& kv_of(const Model& model, const SessionOptions& options) {
  return options.kv ? *options.kv : model.run_time().kv;
}

const ActPlan* act_of(const SessionOptions& options) {
  return options.activations ? &options.activations->plan() : nullptr;
}

dim capacity_of(const Model& model, const SessionOptions& options) {
  if (options.context > 0) return options.context;
  if (model.config().context > 0) return model.config().context;
  throw Error(Blame::input, "context", "the model does not say how many tokens it takes", "give --context");
}

// What a draft guesses for one run of the model, and from which probabilities it drew.
struct Guesses {
  std::vector<Token> tokens;
  std::vector<std::vector<Candidate>> distributions;
};

}  // namespace

struct Session::Impl {
  const Model& model;
  SessionOptions options;
  KvSpec kv;
  FastNetwork network;
  Track track;
  std::unique_ptr<FastNetwork> draft_network;
  std::unique_ptr<Track> draft;

  Impl(const Model& m, const SessionOptions& o)
      : model(m),
        options(o),
        kv(kv_of(m, o)),
        network(m, act_of(options), o.exact),
        track(network.network(), capacity_of(m, o), kv) {
    if (!o.draft) return;
    if (track.cache().encoded())
      throw Error(Blame::input, "draft", fmt::format("expected keys and values in f32, got {}", kv.text()),
                  "leave out --kv or the draft");
    if (o.draft_tokens < 1) throw input_error("draft-tokens", "expected a number from 1, got {}", o.draft_tokens);
    check_draft(m, *o.draft);
    draft_network = std::make_unique<FastNetwork>(*o.draft, nullptr, o.exact);
    draft = std::make_unique<Track>(draft_network->network(), track.cache().capacity(), KvSpec());
  }

  CacheIdentity identity() const {
    const Config& c = model.config();
    return {model.source_stamp(),
            (options.activations ? options.activations->text() : "") + (options.exact ? " exact" : ""),
            c.layers,
            c.kv_heads,
            c.head_dim,
            c.vocab};
  }
};

namespace {

// One call of `generate`.
class Run {
 public:
  Run(Session::Impl& session, std::span<const Token> prompt, const GenerateOptions& o, const TextSink& sink)
      : s_(session),
        o_(o),
        sink_(sink),
        text_(prompt.begin(), prompt.end()),
        answer_(session.model.tokenizer(), o),
        sampler_(o.sampler),
        guesser_([&] {
          SamplerOptions other = o.sampler;  // its own numbers, else guesses and verdicts would hang together
          other.seed = mix64(o.sampler.seed, 1);
          return Sampler(other);
        }()) {}

  GenerateResult operator()();

 private:
  dim vocab() const { return s_.model.config().vocab; }
  dim capacity() const { return s_.track.cache().capacity(); }
  bool read_prompt();
  bool make_room();
  bool step();
  bool verify(const Guesses& guesses);
  bool add(Token token, std::span<const float> logits);
  Guesses guess(dim count);

  Session::Impl& s_;
  const GenerateOptions& o_;
  const TextSink& sink_;
  std::vector<Token> text_;  // prompt and answer, less what was forgotten
  Answer answer_;
  Sampler sampler_, guesser_;
  GenerateResult result_;
  std::span<const float> logits_;  // after text_
};

bool Run::add(Token token, std::span<const float> logits) {
  TokenScore score;
  if (o_.logprobs >= 0) score = score_token(logits, token, o_.logprobs);
  if (!answer_.add(token, std::move(score), sink_)) return false;
  text_.push_back(token);
  return true;
}

// Forgets half of what may be forgotten; what follows gets new positions, so it is read again. False: the answer ends.
bool Run::make_room() {
  if (dim(text_.size()) < capacity()) return true;
  const dim keep = std::clamp<dim>(o_.keep, 0, dim(text_.size()));
  const dim drop = (dim(text_.size()) - keep) / 2;
  if (!o_.shift || drop < 1) {
    answer_.finish(StopReason::context_full, sink_);
    return false;
  }
  text_.erase(text_.begin() + keep, text_.begin() + keep + drop);
  ++result_.shifts;
  return true;
}

Guesses Run::guess(dim count) {
  Guesses guesses;
  std::vector<Token> text = text_;
  const std::size_t common = std::size_t(std::min(vocab(), s_.draft->config().vocab));
  for (dim i = 0; i < count; ++i) {
    const auto logits = s_.draft->read(text, 1, o_.interrupted);
    if (logits.empty()) break;
    const auto candidates = guesser_.distribution(logits.first(common), text);
    guesses.distributions.emplace_back(candidates.begin(), candidates.end());
    guesses.tokens.push_back(guesser_.draw(candidates));
    text.push_back(guesses.tokens.back());
  }
  return guesses;
}

// text_ and the guesses are read in one run. False: the answer ends.
bool Run::verify(const Guesses& guesses) {
  std::vector<Token> text = text_;
  text.insert(text.end(), guesses.tokens.begin(), guesses.tokens.end());
  const dim count = dim(guesses.tokens.size());
  const auto rows = s_.track.read(text, count + 1, o_.interrupted);
  if (rows.empty()) return answer_.finish(StopReason::interrupted, sink_), false;
  result_.drafted += count;
  for (dim i = 0; i < count; ++i) {
    const auto logits = rows.subspan(std::size_t(i * vocab()), std::size_t(vocab()));
    const Verdict verdict = verify_guess(sampler_.distribution(logits, text_), guesses.distributions[std::size_t(i)],
                                         guesses.tokens[std::size_t(i)], sampler_.rng());
    result_.accepted += verdict.accepted;
    if (!add(verdict.token, logits)) return false;
    if (!verdict.accepted) return true;
  }
  const auto last = rows.last(std::size_t(vocab()));
  return add(sampler_.sample(last, text_), last);
}

// One run of the model. False: the answer ends.
bool Run::step() {
  if (!make_room()) return false;
  const dim left = o_.max_tokens - dim(answer_.tokens.size());
  const dim room = std::min({s_.options.draft_tokens, left - 1, capacity() - dim(text_.size())});
  if (s_.draft && room > 0) return verify(guess(room));
  const auto logits = s_.track.read(text_, 1, o_.interrupted);
  if (logits.empty()) return answer_.finish(StopReason::interrupted, sink_), false;
  return add(sampler_.sample(logits, text_), logits);
}

GenerateResult Run::operator()() {
  result_.prompt_tokens = dim(text_.size());
  result_.reused_tokens = s_.track.common(text_);
  result_.kv = s_.kv.text();
  result_.kv_bytes = s_.track.cache().size_bytes();
  auto start = Clock::now();
  bool going = true;
  if (s_.draft) s_.draft->read(text_, 1, o_.interrupted);
  if (!s_.track.read(text_, 1, o_.interrupted).empty()) {
    result_.prompt_seconds = seconds_since(start);
    start = Clock::now();
  } else {
    answer_.finish(StopReason::interrupted, sink_);
    going = false;
  }
  going = going && !answer_.enough();
  while (going) going = step();
  answer_.finish(StopReason::max_tokens, sink_);
  result_.decode_seconds = seconds_since(start);
  result_.tokens = std::move(answer_.tokens);
  result_.scores = std::move(answer_.scores);
  result_.text = std::move(answer_.text);
  result_.reason = answer_.reason;
  return std::move(result_);
}

}  // namespace

Session::Session(const Model& model, const SessionOptions& options) : impl_(std::make_unique<Impl>(model, options)) {}
Session::~Session() = default;

GenerateResult Session::generate(std::span<const Token> prompt, const GenerateOptions& options, const TextSink& sink) {
  if (prompt.empty()) throw input_error("prompt", "expected at least one token, got none");
  if (options.max_tokens < 0) throw input_error("max-tokens", "expected a number from 0, got {}", options.max_tokens);
  if (dim(prompt.size()) > capacity())
    throw Error(Blame::input, "prompt", fmt::format("expected at most {} tokens, got {}", capacity(), prompt.size()),
                "shorten it, or give a larger context");
  return Run(*impl_, prompt, options, sink)();
}

dim Session::capacity() const { return impl_->track.cache().capacity(); }
std::span<const Token> Session::tokens() const { return impl_->track.tokens(); }
const KvSpec& Session::kv() const { return impl_->kv; }

void Session::save(const std::filesystem::path& path) const {
  write_prompt_cache(path, impl_->identity(), impl_->track.tokens(), impl_->track.cache());
}

bool Session::load(const std::filesystem::path& path, std::string& why) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return why = "there is none yet", false;
  Track& track = impl_->track;
  try {
    const MappedFile file(path);
    const CachedPrompt cached =
        parse_prompt_cache({file.data(), std::size_t(file.size_bytes())}, impl_->identity(), capacity());
    track.forget(0);
    fill_cache(cached, track.cache());
    track.set_tokens(cached.tokens);
  } catch (const Error& e) {
    track.forget(0);
    return why = e.what(), false;
  }
  return true;
}

}  // namespace pith
