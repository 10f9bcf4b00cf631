// `pith serve` as a program: it starts, answers, shows its page in a browser, and stops when asked.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/serve/raw_client.h"
#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

// Runs `body` in a shell while a server of the two small models listens at $url (with $pid), then asks it to stop.
Ran while_serving(const std::filesystem::path& models, const std::string& body, const std::string& options = "") {
  const TempFolder folder;
  const std::string out = shell_quote((folder.path / "out").string());
  return run_shell(shell_quote(PITH_BINARY) + " serve " + shell_quote((models / "stories260K-f16.gguf").string()) +
                   " --compare " + shell_quote((models / "stories260K-f32.gguf").string()) + " --port 0 --slots 4 " +
                   options + " >" + out + " & pid=$!; for i in $(seq 200); do [ -s " + out +
                   " ] && break; sleep 0.05; done; url=$(cat " + out + "); " + body +
                   "; kill -TERM $pid 2>/dev/null; wait $pid");
}

int port_of(const std::string& url) { return std::stoi(url.substr(url.rfind(':') + 1)); }

TEST(Serve, StartsAndStopsCleanly) {
  PITH_NEED_DATA(models, "models/stories260K");
  const Ran ran = while_serving(models, "echo $url");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out.rfind("http://127.0.0.1:", 0), 0u) << ran.out;
  EXPECT_NE(ran.err.find("stories260K-f16: 4 requests at once"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("stopping"), std::string::npos);
}

TEST(Serve, ARunningRequestMayFinish) {
  PITH_NEED_DATA(models, "models/stories260K");
  // The reader asks for an answer, the server is told to stop while it runs.
  const TempFolder folder;
  const std::string file = (folder.path / "url").string();
  std::string got;
  std::thread reader([&] {
    for (int i = 0; i < 200 && !std::filesystem::exists(file + ".ready"); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const std::string url = read_file(file);
    if (url.empty()) return;
    const RawClient client(port_of(url));
    client.send(
        post_text("/v1/completions",
                  R"({"prompt": "Once", "max_tokens": 400, "ignore_eos": true, "stream": true, "temperature": 0})"));
    got = client.some();
    std::ofstream(file + ".running") << "x";
    got += client.rest();
  });
  const Ran ran =
      while_serving(models, "echo $url >" + file + "; touch " + file + ".ready; for i in $(seq 200); do [ -e " + file +
                                ".running ] && break; sleep 0.05; done");
  reader.join();
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(got.find("\"finish_reason\":\"length\""), std::string::npos) << got.substr(0, 500);
  EXPECT_NE(got.find("data: [DONE]"), std::string::npos);
}

TEST(Serve, RefusesWhatItCannotServe) {
  PITH_NEED_DATA(model, "models/stories260K/stories260K-f16.gguf");
  const Ran ran = run_pith("serve " + shell_quote(model.string()) + " --host 203.0.113.7");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.err.find("cannot listen on 203.0.113.7 port 8080"), std::string::npos) << ran.err;
  EXPECT_EQ(run_pith("serve " + shell_quote(model.string()) + " --port 70000").exit_code, 2);
}

TEST(Serve, ThePageChatsInABrowser) {
  PITH_NEED_DATA(models, "models/stories260K");
  if (run_shell("command -v chromedriver && command -v python3").exit_code != 0)
    GTEST_SKIP() << "no chromedriver here (Debian: chromium-driver)";
  const std::string script = shell_quote(std::string(PITH_SOURCE_DIR) + "/tests/peers/serve_page.py");
  const char* folder = std::getenv("PITH_SCREENSHOTS");
  const Ran ran = while_serving(models, "timeout 200 python3 " + script + " $url " + (folder ? folder : ""));
  ASSERT_FALSE(ran.out.empty()) << ran.err;
  const json both = json::parse(ran.out);
  for (const auto& [name, page] : both.items()) {
    EXPECT_EQ(page["questions"], (json{"Tell me about <b>Lily</b>.", "And then?"})) << name;
    EXPECT_EQ(page["names"], (json{"stories260K-f16", "stories260K-f32", "stories260K-f16", "stories260K-f32"}));
    for (const json& text : page["answers"]) EXPECT_FALSE(text.get<std::string>().empty()) << page;
    for (const json& speed : page["speeds"])
      EXPECT_NE(speed.get<std::string>().find(" tokens/s"), std::string::npos) << page;
    EXPECT_EQ(page["faults"], json::array()) << name;
    EXPECT_EQ(page["console"], json::array()) << name;
    EXPECT_EQ(page["overflow"], 0) << name;  // nothing is wider than the screen
  }
  EXPECT_EQ(both["desk"]["side_by_side"], true);
  EXPECT_EQ(both["phone"]["side_by_side"], false);
  EXPECT_NE(both["desk"]["ground"], both["phone"]["ground"]);  // light and dark
}

}  // namespace
}  // namespace pith::test
