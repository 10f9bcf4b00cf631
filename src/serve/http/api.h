// The endpoints: OpenAI's /v1/models, /v1/completions and /v1/chat/completions, /health, /metrics and the page at /.
#pragma once
#include <string>
#include <vector>

#include "serve/batch/batch_engine.h"
#include "serve/http/http_server.h"
#include "serve/http/openai_request.h"

namespace pith {

struct ServedModel {
  std::string id;
  BatchEngine* engine = nullptr;
};

struct ApiOptions {
  std::string key;  // asked for at /v1; empty: none
  RequestLimits limits;
};

class Api {
 public:
  // models: at least one, the first answers requests that name none; ids differ. Engines must outlive this.
  Api(std::vector<ServedModel> models, ApiOptions options);
  ~Api();
  void add_routes(HttpServer& server);  // this must outlive the server
  // New requests are refused from here on.
  void stop_accepting();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The page, one file with all it needs.
extern const char* const kServePage;

}  // namespace pith
