// HTTP with bounds: so many clients at once, so many bytes of a body, so much time for a request to arrive. What a
// handler throws becomes an answer; bytes from the network never end the program.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "core/base.h"

namespace pith {

struct HttpLimits {
  dim clients = 256;  // connections at once; more are told to come back
  dim body_bytes = dim(1) << 20;
  double request_seconds = 30;  // for a request to arrive whole
  double idle_seconds = 5;      // of a connection between two requests
  double write_seconds = 30;    // for a client to take what it is sent
};

struct HttpRequest {
  std::string body;
  std::string authorization;  // that header
};

struct HttpResponse {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  // Instead of a body: called until it returns false; what it puts into `out` is sent at once, if anything. Not called
  // again once the client has gone; then destroyed.
  std::function<bool(std::string& out)> pieces;
};

class HttpServer {
 public:
  using Handler = std::function<void(const HttpRequest&, HttpResponse&)>;
  explicit HttpServer(const HttpLimits& limits);
  ~HttpServer();

  void get(const std::string& path, Handler handler);
  void post(const std::string& path, Handler handler);  // of JSON: other content types are refused
  // Called for errors of HTTP itself: gives the body.
  void on_error(std::function<std::string(int status, const std::string& message)> error_body);

  // Takes the port (0: any that is free) and gives its number. Error(environment) when it cannot be had.
  int bind(const std::string& host, int port);
  void run();   // until `stop`
  void stop();  // from any thread but a handler's; connections end after what they are doing
  // For a handler: whether the one it works for is still there.
  static bool client_gone();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pith
