// A client that writes and reads bytes, so that nothing of the server's library is on both sides.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>

namespace pith::test {

class RawClient {
 public:
  explicit RawClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(std::uint16_t(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    const timeval patience = {20, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  RawClient(const RawClient&) = delete;
  ~RawClient() { hang_up(); }
  bool connected() const { return connected_; }
  void send(const std::string& bytes) const {
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t n = ::send(socket_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (n <= 0) return;
      at += std::size_t(n);
    }
  }
  // Some bytes; empty: the end, or nothing for 20 seconds.
  std::string some() const {
    char chunk[4096];
    const ssize_t n = ::recv(socket_, chunk, sizeof chunk, 0);
    return n > 0 ? std::string(chunk, std::size_t(n)) : std::string();
  }
  std::string rest() const {
    std::string all;
    for (std::string piece; !(piece = some()).empty();) all += piece;
    return all;
  }
  void hang_up() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

 private:
  int socket_;
  bool connected_ = false;
};

struct Reply {
  int status = 0;
  std::string head, body;  // the body without chunk sizes
};

inline std::string without_chunk_sizes(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find("\r\n", at);
    if (end == std::string::npos) break;
    const std::size_t size = std::stoul(text.substr(at, end - at), nullptr, 16);
    out += text.substr(end + 2, size);
    at = end + 2 + size + 2;
    if (size == 0) break;
  }
  return out;
}

inline Reply reply_of(const std::string& all) {
  Reply reply;
  const std::size_t end = all.find("\r\n\r\n");
  if (end == std::string::npos || all.rfind("HTTP/1.1 ", 0) != 0) return reply;
  reply.status = std::stoi(all.substr(9, 3));
  reply.head = all.substr(0, end);
  reply.body = all.substr(end + 4);
  if (reply.head.find("Transfer-Encoding: chunked") != std::string::npos) reply.body = without_chunk_sizes(reply.body);
  return reply;
}

inline std::string post_text(const std::string& path, const std::string& body, const std::string& more = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n" + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline Reply post(int port, const std::string& path, const std::string& body, const std::string& more = "") {
  const RawClient client(port);
  client.send(post_text(path, body, more));
  return reply_of(client.rest());
}

inline Reply get(int port, const std::string& path, const std::string& more = "") {
  const RawClient client(port);
  client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more + "\r\n");
  return reply_of(client.rest());
}

}  // namespace pith::test
