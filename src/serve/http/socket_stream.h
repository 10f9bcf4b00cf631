// A connection as httplib wants it, with deadlines for whole requests rather than for single reads.
#pragma once
#include <httplib.h>
#include <poll.h>

#include <atomic>
#include <chrono>

#include "serve/http/http_server.h"

namespace pith {

class SocketStream : public httplib::Stream {
 public:
  SocketStream(int socket, const HttpLimits& limits, const std::atomic<bool>& stopping)
      : socket_(socket), limits_(limits), stopping_(stopping) {}

  // Waits for the first byte of a request. False: none came, or the server stops. Its time runs from here.
  bool begin_request();
  bool gone() const;  // the other end has closed
  // What is left unread stays unread: the connection cannot be used for another request.
  void spoil() { spoiled_ = true; }
  bool spoiled() const { return spoiled_; }

  bool is_readable() const override { return begin_ < end_ || wait(POLLIN, 0); }
  bool is_writable() const override { return wait(POLLOUT, 0) && !gone(); }
  ssize_t read(char* to, std::size_t size) override;
  ssize_t write(const char* from, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  using Clock = std::chrono::steady_clock;
  bool wait(short events, double seconds) const;

  int socket_;
  const HttpLimits& limits_;
  const std::atomic<bool>& stopping_;
  Clock::time_point deadline_ = {};
  bool spoiled_ = false;
  char held_[4096];
  std::size_t begin_ = 0, end_ = 0;
};

}  // namespace pith
