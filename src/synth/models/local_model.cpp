#include "synth/models/local_model.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "eval/likelihood/continuations.h"
#include "io/files.h"
#include "io/sha256.h"
#include "serve/chat_prompt.h"
#include "synth/models/contrast.h"

namespace pith::synth {

namespace {

constexpr std::chrono::milliseconds kPatience(20);
constexpr dim kUnlimited = 4096;  // tokens, of a model that does not say

GenerateOptions options_of(const Request& r) {
  GenerateOptions o;
  o.max_tokens = r.sampling.max_tokens;
  o.sampler = {.temperature = r.sampling.temperature,
               .top_k = r.sampling.top_k,
               .top_p = r.sampling.top_p,
               .repetition_penalty = r.sampling.repetition_penalty,
               .seed = r.seed};
  return o;
}

// One request of the engine's, and what came of it so far.
struct Open {
  std::size_t index;
  std::shared_ptr<Ticket> ticket;
  Reply reply;
  // Whether it has ended.
  bool take(std::chrono::milliseconds patience) {
    TicketNews news = ticket->wait(patience);
    reply.text += news.text;
    reply.tokens += dim(news.tokens.size());
    if (news.state == TicketState::failed) throw environment_error("teacher", "{}", news.error);
    if (!news.ended()) return false;
    const bool stopped = news.reason == StopReason::stop_token || news.reason == StopReason::stop_string;
    reply.end = stopped ? ReplyEnd::stop : ReplyEnd::length;
    return true;
  }
};

}  // namespace

LocalModel::LocalModel(const std::filesystem::path& path, const LocalChoice& choice)
    : model_(Model::open(path)), choice_(choice) {
  if (choice.slots < 2) throw input_error("slots", "expected a number from 2, got {}", choice.slots);
  if (model_.tokenizer().chat_template().empty())
    throw Error(Blame::input, path.string(), "expected a model with a chat template, got none",
                "teachers answer questions: take a model that was trained on conversations");
  const dim own = model_.config().context > 0 ? model_.config().context : kUnlimited;
  limit_ = choice.context > 0 ? std::min(choice.context, own) : own;
}

LocalModel::~LocalModel() = default;

ModelIdentity LocalModel::identity() const {
  if (hash_.empty())
    hash_ = sha256_hex(fmt::format("{} {} {} {} {}", model_.source_hash(), choice_.exact, choice_.kv,
                                   choice_.activations, limit_))
                .substr(0, 32);
  return {last_name(model_.path()), hash_};
}

std::vector<Token> LocalModel::tokens_of(const Conversation& messages) const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ChatMessage& m : messages) list.push_back({{"role", m.role}, {"content", m.content}});
  ChatOptions options;
  options.now.emplace();  // the same bytes on every day, as in training
  options.now->tm_year = 100, options.now->tm_mday = 1;
  return chat_prompt(model_.tokenizer(), list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), options)
      .tokens;
}

dim LocalModel::prompt_tokens(const Conversation& messages) const { return dim(tokens_of(messages).size()); }

BatchEngine& LocalModel::engine_for(dim context) {
  if (engine_ && engine_->context() >= context) return *engine_;
  engine_.reset();
  BatchOptions o;
  o.slots = choice_.slots;
  o.context = std::min(limit_, (context + 255) / 256 * 256);
  o.waiting = 4 * choice_.slots;
  o.max_seconds = std::numeric_limits<double>::max();  // an answer must not depend on the clock
  o.exact = choice_.exact;
  if (!choice_.kv.empty()) o.kv = KvSpec(choice_.kv);
  if (!choice_.activations.empty()) o.activations = ActSpec(choice_.activations);
  engine_ = std::make_unique<BatchEngine>(model_, o);
  return *engine_;
}

void LocalModel::answer(std::span<const Request> requests, const Done& done) {
  std::vector<Asked> plain, contrasted;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Asked asked = {i, tokens_of(requests[i].messages), {}};
    if (requests[i].contrast) asked.against = tokens_of(requests[i].contrast->against);
    if (dim(std::max(asked.prompt.size(), asked.against.size())) + 1 > limit_)
      done(i, {"", 0, ReplyEnd::no_room});
    else
      (requests[i].contrast ? contrasted : plain).push_back(std::move(asked));
  }
  if (!plain.empty()) run_batch(requests, std::move(plain), done);
  if (!contrasted.empty()) run_contrast(requests, std::move(contrasted), done);
}

void LocalModel::run_batch(std::span<const Request> requests, std::vector<Asked> asked, const Done& done) {
  dim context = 0;
  for (const Asked& a : asked)
    context = std::max(context, std::min(limit_, dim(a.prompt.size()) + requests[a.index].sampling.max_tokens));
  BatchEngine& engine = engine_for(context);
  std::deque<Open> open;
  // What is still running is not waited for when something throws.
  struct Cancel {
    std::deque<Open>& all;
    ~Cancel() {
      for (Open& one : all) one.ticket->cancel();
    }
  } cancel{open};
  for (std::size_t next = 0; next < asked.size() || !open.empty();) {
    for (; next < asked.size() && dim(open.size()) < 2 * choice_.slots; ++next) {
      auto ticket = engine.submit({std::move(asked[next].prompt), options_of(requests[asked[next].index])});
      PITH_CHECK(ticket != nullptr);  // the queue has room for all that are open
      open.push_back({asked[next].index, std::move(ticket), {}});
    }
    bool wait = true;
    for (auto one = open.begin(); one != open.end();) {
      if (one->take(wait ? kPatience : std::chrono::milliseconds(0))) {
        done(one->index, one->reply);
        one = open.erase(one);
      } else {
        wait = false;
        ++one;
      }
    }
  }
}

void LocalModel::run_contrast(std::span<const Request> requests, std::vector<Asked> asked, const Done& done) {
  const std::optional<ActSpec> act =
      choice_.activations.empty() ? std::optional<ActSpec>() : ActSpec(choice_.activations);
  const FastNetwork network(model_, act ? &act->plan() : nullptr, choice_.exact);
  const KvSpec kv = choice_.kv.empty() ? model_.run_time().kv : KvSpec(choice_.kv);
  const auto together = std::size_t(std::max<dim>(choice_.slots / 2, 1));
  for (std::size_t first = 0; first < asked.size(); first += together) {
    std::vector<Contrasted> pairs;
    for (std::size_t i = first; i < std::min(first + together, asked.size()); ++i) {
      const Request& r = requests[asked[i].index];
      pairs.push_back({std::move(asked[i].prompt), std::move(asked[i].against), r.contrast->weight,
                       r.contrast->plausible, options_of(r)});
    }
    const auto replies = contrast_answers(network.network(), kv, model_.tokenizer(), limit_, pairs);
    for (std::size_t k = 0; k < replies.size(); ++k) done(asked[first + k].index, replies[k]);
  }
}

void LocalModel::score(std::span<const ScoreRequest> requests,
                       const std::function<void(std::size_t, const TextScore&)>& done) {
  if (!likelihoods_) {
    LikelihoodOptions o;
    o.fast = !choice_.exact;
    if (!choice_.kv.empty()) o.kv = KvSpec(choice_.kv);
    likelihoods_ = std::make_unique<Likelihoods>(model_, o);
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Continuation c = {tokens_of(requests[i].messages), 0};
    const std::vector<Token> text = model_.tokenizer().encode(requests[i].text, false, false);
    c.scored = dim(text.size());
    c.tokens.insert(c.tokens.end(), text.begin(), text.end());
    if (c.scored == 0 || dim(c.tokens.size()) > limit_) {
      done(i, {0, 0});
      continue;
    }
    // Alone, so that its bits do not depend on others.
    const std::vector<Continuation> document = {std::move(c)};
    const auto scores = likelihoods_->score(std::span(&document, 1));
    done(i, {scores[0][0].logprob, document[0].scored});
  }
}

}  // namespace pith::synth
