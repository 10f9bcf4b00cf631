// Every chat template at hand, against what PyPI's jinja2 makes of it (chat_vectors/make_vectors.py).
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/chat_template.h"
#include "io/sha256.h"
#include "tests/shared_data.h"

namespace pith {

namespace {

using nlohmann::ordered_json;

std::tm fixed_time() {
  std::tm time{};
  time.tm_year = 125, time.tm_mon = 2, time.tm_mday = 7;  // Friday, 7 March 2025, 16:05:09
  time.tm_hour = 16, time.tm_min = 5, time.tm_sec = 9;
  time.tm_wday = 5, time.tm_yday = 65;
  return time;
}

// The text, or "refused: why".
std::string rendered(const std::string& text, const ordered_json& given) {
  ChatOptions options;
  options.bos_token = "<s>", options.eos_token = "</s>", options.now = fixed_time();
  ordered_json more = given;
  options.add_generation_prompt = given.at("add_generation_prompt").get<bool>();
  if (given.contains("tools")) options.tools_json = given["tools"].dump();
  for (const char* own : {"messages", "tools", "add_generation_prompt"}) more.erase(own);
  options.variables_json = more.dump();
  try {
    return render_chat_json(text, given.at("messages").dump(), options);
  } catch (const Error& e) {
    return std::string("refused: ") + e.what();
  }
}

// What map gives is a list here and can be written as JSON; jinja2 makes a generator and fails.
bool more_lenient(const std::string& name, const std::string& which) {
  return name == "llama-cpp-deepseek-r1.jinja" && (which == "tools" || which == "use");
}

}  // namespace

TEST(ChatTemplateVectors, EveryTemplateAsJinja2) {
  PITH_NEED_DATA(folder, "chat_templates");
  const auto here = std::filesystem::path(PITH_SOURCE_DIR) / "tests/io/chat_vectors/vectors.json";
  const ordered_json all = ordered_json::parse(test::read_file(here));
  int compared = 0;
  for (const auto& [name, wanted] : all["vectors"].items()) {
    const std::string text = test::read_file(folder / name);
    ASSERT_FALSE(text.empty()) << name;
    for (const auto& [which, given] : all["cases"].items()) {
      const std::string out = rendered(text, given);
      if (const char* show = std::getenv("PITH_SHOW_CHATS")) {
        std::ofstream(std::filesystem::path(show) / (name.substr(0, name.size() - 6) + "." + which)) << out;
      }
      ++compared;
      if (wanted[which].is_null()) {
        EXPECT_TRUE(out.starts_with("refused: ") || more_lenient(name, which)) << name << " " << which;
        continue;
      }
      EXPECT_EQ(out.size(), wanted[which][1].get<std::size_t>()) << name << " " << which << "\n" << out.substr(0, 200);
      EXPECT_EQ(sha256_hex(out), wanted[which][0].get<std::string>()) << name << " " << which;
    }
  }
  EXPECT_EQ(compared, 55 * 8);
}

}  // namespace pith
