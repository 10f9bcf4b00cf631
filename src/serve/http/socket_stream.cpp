#include "serve/http/socket_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace pith {

namespace {
constexpr double kGlance = 0.1;  // seconds between two looks at whether the server stops
}

bool SocketStream::wait(short events, double seconds) const {
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd one = {socket_, events, 0};
    const int got = poll(&one, 1, int(std::max<long>(0, left)));
    if (got >= 0 || errno != EINTR) return got > 0;
  }
}

bool SocketStream::begin_request() {
  bool come = begin_ < end_;
  for (double waited = 0; !come && waited < limits_.idle_seconds && !stopping_; waited += kGlance)
    come = wait(POLLIN, kGlance);
  deadline_ = Clock::now() +
              std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(limits_.request_seconds));
  return come && !stopping_ && !gone();
}

bool SocketStream::gone() const {
  if (begin_ < end_) return false;
  char byte;
  const ssize_t n = recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

ssize_t SocketStream::read(char* to, std::size_t size) {
  if (begin_ == end_) {
    const double left = std::chrono::duration<double>(deadline_ - Clock::now()).count();
    if (left <= 0 || !wait(POLLIN, left)) return -1;
    const ssize_t n = recv(socket_, held_, sizeof held_, 0);
    if (n <= 0) return n;
    begin_ = 0;
    end_ = std::size_t(n);
  }
  const std::size_t n = std::min(size, end_ - begin_);
  std::memcpy(to, held_ + begin_, n);
  begin_ += n;
  return ssize_t(n);
}

ssize_t SocketStream::write(const char* from, std::size_t size) {
  if (!wait(POLLOUT, limits_.write_seconds)) return -1;
  return send(socket_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void SocketStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();  // nobody asks
  port = 0;
}

void SocketStream::get_local_ip_and_port(std::string& ip, int& port) const { get_remote_ip_and_port(ip, port); }

}  // namespace pith
