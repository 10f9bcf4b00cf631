// A server of OpenAI's API on this machine: `pith serve`, llama-server, vLLM, or a tunnel to another one.
#pragma once
#include "synth/text_model.h"

namespace httplib {
class Client;
}

namespace pith::synth {

struct EndpointChoice {
  std::string url = {};    // "http://127.0.0.1:8080", with or without "/v1"
  std::string model = {};  // empty: the first that the server lists
  std::string key = {};    // sent as a bearer token where not empty
  dim requests = 16;       // at once
  double seconds = 600;    // most for one answer
};

// Whether it names an endpoint rather than a file.
bool is_endpoint(std::string_view text);

class Endpoint : public TextModel {
 public:
  // Error(input) when the address is not of this machine: requests are not encrypted. Error(environment) when nobody
  // listens there.
  explicit Endpoint(const EndpointChoice& choice);
  ModelIdentity identity() const override;
  // Waits and asks again where the server says that it is busy. Error(input) for a contrast.
  void answer(std::span<const Request> requests, const std::function<void(std::size_t, const Reply&)>& done) override;
  // Error(input): the API has no scores of given texts after conversations.
  void score(std::span<const ScoreRequest> requests,
             const std::function<void(std::size_t, const TextScore&)>& done) override;
  dim prompt_tokens(const Conversation&) const override { return -1; }

 private:
  Reply ask(httplib::Client& client, const Request& request) const;
  EndpointChoice choice_;
  std::string host_, path_;  // "http://127.0.0.1:8080", "/v1"
};

}  // namespace pith::synth
