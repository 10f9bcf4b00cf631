// A model as data pipelines see it: conversations in, texts out. A local model, an endpoint, or a function of a test.
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base.h"
#include "io/chat_template.h"

namespace pith::synth {

using Conversation = std::vector<ChatMessage>;

struct Sampling {
  double temperature = 0.7;  // 0: the likeliest token
  double top_p = 1;
  dim top_k = 0;  // 0: all
  double repetition_penalty = 1;
  dim max_tokens = 256;
};

// Tokens are preferred that become likelier by what `messages` says and `against` does not (contrastive decoding,
// arXiv:2210.15097; SCOTT, arXiv:2305.01879): those with at least `plausible` times the probability p of the likeliest
// are drawn from ln p + weight * (ln p - ln p against).
struct Contrast {
  Conversation against;
  double weight = 0.5;
  double plausible = 0.1;
};

struct Request {
  Conversation messages;
  Sampling sampling = {};
  std::uint64_t seed = 0;  // below 2^31, which any endpoint takes
  std::optional<Contrast> contrast = {};
};

enum class ReplyEnd { stop, length, no_room };  // by itself; cut off; the prompt alone fills the context

struct Reply {
  std::string text;  // UTF-8
  dim tokens = 0;
  ReplyEnd end = ReplyEnd::stop;
};

struct ScoreRequest {
  Conversation messages;
  std::string text;  // as the next answer
};

struct TextScore {
  double logprob = 0;  // sum of ln p over the text's tokens
  dim tokens = 0;      // 0: it does not fit into the context
  double mean_nll() const { return tokens > 0 ? -logprob / double(tokens) : 0; }
};

struct ModelIdentity {
  std::string name;  // the file's or the endpoint's
  std::string hash;  // over all that decides an answer beside the request
};

class TextModel {
 public:
  virtual ~TextModel() = default;
  virtual ModelIdentity identity() const = 0;
  // done(index, reply) once for each request, on the caller's thread, in any order. A reply depends on its request
  // alone. Error(input) where a request asks for what this model cannot do, Error(environment) where it is not there.
  virtual void answer(std::span<const Request> requests,
                      const std::function<void(std::size_t index, const Reply&)>& done) = 0;
  virtual void score(std::span<const ScoreRequest> requests,
                     const std::function<void(std::size_t index, const TextScore&)>& done) = 0;
  virtual dim prompt_tokens(const Conversation& messages) const = 0;  // -1: not known
};

}  // namespace pith::synth
