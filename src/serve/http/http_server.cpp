#include "serve/http/http_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"
#include "serve/http/client_threads.h"
#include "serve/http/socket_stream.h"

namespace pith {

namespace {

constexpr int kBacklog = 512;  // connections that wait to be accepted
thread_local SocketStream* current = nullptr;

const char* message_of(int status) {
  switch (status) {
    case 404:
      return "there is nothing at this path, or not for this method";
    case 413:
      return "the body is too large";
    case 414:
      return "the path is too long";
    default:
      return status < 500 ? "this is not a request of HTTP" : "internal error";
  }
}

// What the client still sends is taken for a moment, else it would lose the answer.
void drain(int socket) {
  timeval patience = {0, 100000};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  char rest[4096];
  for (int i = 0; i < 64; ++i)
    if (recv(socket, rest, sizeof rest, 0) <= 0) return;
}

}  // namespace

// httplib parses and writes HTTP; connections and their bounds are ours.
struct HttpServer::Impl : httplib::Server {
  HttpLimits limits;
  std::atomic<bool> stopping = false, started = false, ended = false;
  std::function<std::string(int, const std::string&)> error_body = [](int, const std::string& text) { return text; };

  explicit Impl(const HttpLimits& l);
  bool widen_backlog() { return ::listen(svr_sock_, kBacklog) == 0; }
  void answer(const HttpServer::Handler& handler, const HttpRequest& request, httplib::Response& response) const;
  void fail(httplib::Response& response, int status, const std::string& message) const;

 private:
  bool process_and_close_socket(socket_t socket) override;
  void refuse(socket_t socket) const;
};

HttpServer::Impl::Impl(const HttpLimits& l) : limits(l) {
  new_task_queue = [this] { return new ClientThreads(limits.clients); };
  set_payload_max_length(std::size_t(limits.body_bytes));
  set_tcp_nodelay(true);
  set_exception_handler([this](const httplib::Request&, httplib::Response& response, std::exception_ptr fault) {
    try {
      std::rethrow_exception(fault);
    } catch (const std::exception& e) {
      fail(response, 500, e.what());
    } catch (...) {
      fail(response, 500, "internal error");
    }
  });
  set_error_handler([this](const httplib::Request&, httplib::Response& response) {
    if (response.body.empty()) fail(response, response.status, message_of(response.status));
  });
}

void HttpServer::Impl::fail(httplib::Response& response, int status, const std::string& message) const {
  response.status = status;
  response.set_content(error_body(status, message), "application/json");
}

void HttpServer::Impl::refuse(socket_t socket) const {
  const std::string body = error_body(503, "too many clients; try again later");
  const std::string text = fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {}\r\n"
      "Retry-After: 1\r\nConnection: close\r\n\r\n{}",
      body.size(), body);
  static_cast<void>(!::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

bool HttpServer::Impl::process_and_close_socket(socket_t socket) {
  if (ClientThreads::refusing) {
    refuse(socket);
  } else {
    SocketStream stream(socket, limits, stopping);
    current = &stream;
    bool closed = false;
    while (!closed && stream.begin_request()) {
      try {
        if (!process_request(stream, stopping, closed, nullptr) || stream.spoiled()) break;
      } catch (...) {
        break;  // out of memory, or a fault of httplib's: this connection ends, no other
      }
    }
    current = nullptr;
  }
  ::shutdown(socket, SHUT_WR);
  if (!ClientThreads::refusing) drain(socket);
  ::close(socket);
  return true;
}

void HttpServer::Impl::answer(const HttpServer::Handler& handler, const HttpRequest& request,
                              httplib::Response& response) const {
  auto out = std::make_shared<HttpResponse>();
  handler(request, *out);
  response.status = out->status;
  if (!out->pieces) return response.set_content(out->body, out->type.c_str());
  response.set_header("Cache-Control", "no-store");
  response.set_header("X-Accel-Buffering", "no");
  response.set_chunked_content_provider(out->type.c_str(), [out](std::size_t, httplib::DataSink& sink) {
    std::string piece;
    const bool more = out->pieces(piece);
    if (!piece.empty() && !sink.write(piece.data(), piece.size())) return false;
    if (more) return !client_gone();
    sink.done();
    return true;
  });
}

HttpServer::HttpServer(const HttpLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
HttpServer::~HttpServer() = default;

void HttpServer::get(const std::string& path, Handler handler) {
  impl_->Get(path, [this, handler = std::move(handler)](const httplib::Request& in, httplib::Response& response) {
    impl_->answer(handler, {"", in.get_header_value("Authorization")}, response);
  });
}

void HttpServer::post(const std::string& path, Handler handler) {
  impl_->Post(path, [this, handler = std::move(handler)](const httplib::Request& in, httplib::Response& response,
                                                         const httplib::ContentReader& read) {
    HttpRequest request = {"", in.get_header_value("Authorization")};
    // Also keeps pages of other origins out: they may not send this type without being asked first.
    if (in.get_header_value("Content-Type").rfind("application/json", 0) != 0) {
      current->spoil();
      return impl_->fail(response, 415, "expected the header Content-Type: application/json");
    }
    bool fits = true;
    const bool whole = read([&](const char* data, std::size_t size) {
      fits = dim(request.body.size() + size) <= impl_->limits.body_bytes;
      if (fits) request.body.append(data, size);
      return fits;
    });
    if (whole && fits) return impl_->answer(handler, request, response);
    current->spoil();
    const bool large = !fits || response.status == 413;
    impl_->fail(response, large ? 413 : 400,
                large ? fmt::format("expected a body of at most {} bytes", impl_->limits.body_bytes)
                      : "the body did not arrive whole");
  });
}

void HttpServer::on_error(std::function<std::string(int, const std::string&)> error_body) {
  impl_->error_body = std::move(error_body);
}

int HttpServer::bind(const std::string& host, int port) {
  const int bound = port == 0 ? impl_->bind_to_any_port(host) : impl_->bind_to_port(host, port) ? port : -1;
  if (bound < 0 || !impl_->widen_backlog())
    throw environment_error("serve", "cannot listen on {} port {}: it is taken, or not of this machine", host, port);
  return bound;
}

void HttpServer::run() {
  impl_->started = true;
  const bool good = impl_->stopping || impl_->listen_after_bind() || impl_->stopping;
  impl_->ended = true;
  if (!good) throw environment_error("serve", "cannot accept connections");
}

void HttpServer::stop() {
  impl_->stopping = true;
  do impl_->stop();  // httplib passes over it while it is only about to listen
  while (impl_->started && !impl_->ended && (std::this_thread::sleep_for(std::chrono::milliseconds(10)), true));
}

bool HttpServer::client_gone() { return current && current->gone(); }

}  // namespace pith
