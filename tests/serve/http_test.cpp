// The server among clients that are slow, gone, too many or hostile.
#include <nlohmann/json.hpp>

#include "core/rng.h"
#include "tests/serve/served_model.h"

namespace pith::test {
namespace {

constexpr const char* kEndless = R"({"prompt": "Once", "max_tokens": 90000, "ignore_eos": true, "stream": true})";

class ServedHttp : public Served {
 protected:
  bool alive() const { return get(port, "/health").status == 200; }
};

TEST_F(ServedHttp, RandomBytesDoNoHarm) {
  Rng rng(3);
  const std::string good = post_text("/v1/completions", R"({"prompt": "Once", "max_tokens": 2})");
  for (int i = 0; i < 150; ++i) {
    std::string bytes = good;
    if (i % 3 == 0) {
      bytes.resize(std::size_t(rng.below(600)));
      for (char& c : bytes) c = char(rng.below(256));
    } else if (i % 3 == 1) {
      for (int k = 0; k < 4; ++k) bytes[std::size_t(rng.below(dim(bytes.size())))] = char(rng.below(256));
    } else {
      bytes.resize(std::size_t(rng.below(dim(bytes.size()))));
    }
    RawClient client(port);
    ASSERT_TRUE(client.connected());
    client.send(bytes);
    if (i % 10 == 0) client.hang_up();
  }
  EXPECT_TRUE(alive());
}

TEST_F(ServedHttp, LargeBodiesAreRefused) {
  start({.slots = 1, .context = 64}, {.body_bytes = 1000});
  const std::string large = R"({"prompt": ")" + std::string(2000, 'x') + "\"}";
  EXPECT_EQ(post(port, "/v1/completions", large).status, 413);
  // Without a stated length.
  RawClient client(port);
  client.send(
      "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: "
      "chunked\r\n\r\n");
  for (int i = 0; i < 50; ++i) client.send("64\r\n" + std::string(100, 'x') + "\r\n");
  client.send("0\r\n\r\n");
  EXPECT_EQ(reply_of(client.rest()).status, 413);
  EXPECT_EQ(post(port, "/v1/completions", R"({"prompt": "a", "max_tokens": 1})").status, 200);
  RawClient other(port);
  other.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}");
  EXPECT_EQ(reply_of(other.rest()).status, 415);
}

TEST_F(ServedHttp, SlowClientsAreLeft) {
  start({.slots = 1, .context = 64}, {.request_seconds = 0.5, .idle_seconds = 0.3});
  const auto begin = std::chrono::steady_clock::now();
  RawClient silent(port), slow(port);
  slow.send("GET /health HT");
  for (int i = 0; i < 8; ++i) {  // a byte now and then does not buy more time
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    slow.send("x");
  }
  EXPECT_EQ(silent.rest(), "");
  slow.rest();
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
            15);  // it would wait for ever
  EXPECT_TRUE(alive());
}

TEST_F(ServedHttp, TooManyClientsAreToldToComeBack) {
  start({.slots = 1, .context = 64}, {.clients = 2});
  const RawClient one(port), two(port);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  RawClient three(port);
  three.send("GET /health HTTP/1.1\r\n\r\n");
  const Reply reply = reply_of(three.rest());
  EXPECT_EQ(reply.status, 503);
  EXPECT_NE(reply.body.find("too many clients"), std::string::npos);
}

TEST_F(ServedHttp, ConnectionsServeOneRequestAfterAnother) {
  const RawClient client(port);
  for (int i = 0; i < 8; ++i) {
    client.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    std::string reply;
    while (reply.find("\"ok\"}") == std::string::npos) {
      const std::string more = client.some();
      ASSERT_FALSE(more.empty()) << i << reply;
      reply += more;
    }
  }
}

TEST_F(ServedHttp, ClientsThatLeaveFreeTheirSlot) {
  start({.slots = 1, .context = 100000, .waiting = 1});
  {
    RawClient streaming(port);
    streaming.send(post_text("/v1/completions", kEndless));
    ASSERT_FALSE(streaming.some().empty());
    RawClient waiting(port);  // not streaming, and not even running
    waiting.send(post_text("/v1/completions", R"({"prompt": "Once", "max_tokens": 90000, "ignore_eos": true})"));
    ASSERT_TRUE(comes_true([&] { return engine->counts().waiting == 1; }));
    EXPECT_EQ(post(port, "/v1/completions", R"({"prompt": "x"})").status, 429);
  }
  EXPECT_TRUE(comes_true([&] { return engine->counts().cancelled == 2; }));
  EXPECT_EQ(post(port, "/v1/completions", R"({"prompt": "a", "max_tokens": 1})").status, 200);
}

TEST_F(ServedHttp, StoppingTellsThoseWhoWait) {
  start({.slots = 1, .context = 100000});
  const RawClient client(port);
  client.send(post_text("/v1/completions", kEndless));
  std::string got = client.some();
  api->stop_accepting();
  EXPECT_EQ(post(port, "/v1/completions", R"({"prompt": "x"})").status, 503);
  EXPECT_EQ(get(port, "/health").status, 503);
  engine->stop(0.1);
  got += client.rest();
  EXPECT_NE(got.find("the server is stopping"), std::string::npos);
  EXPECT_NE(got.find("data: [DONE]"), std::string::npos);
  server->stop();
  thread.join();  // `run` returns
}

}  // namespace
}  // namespace pith::test
