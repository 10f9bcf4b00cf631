// Conversations by the model's own template. The texts are what PyPI's jinja2 makes of the same template.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/shared_data.h"
// after shared_data.h, whose read_file it uses
#include "tests/cli/run_pith.h"

namespace pith::test {
namespace {

using nlohmann::json;

constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] | trim + eos_token + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

// The small model with a template of its own ("": none).
std::string chat_model(const std::filesystem::path& from, const std::filesystem::path& folder, const char* text) {
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"})
    std::filesystem::copy_file(from / name, folder / name);
  json config = json::parse(read_file(from / "tokenizer_config.json"));
  if (*text) config["chat_template"] = text;
  std::ofstream(folder / "tokenizer_config.json") << config.dump();
  return shell_quote(folder.string());
}

json answer(const std::string& arguments) {
  const Ran ran = run_pith("generate " + arguments + " --json -n 4");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  return ran.exit_code == 0 ? json::parse(ran.out) : json::object();
}

TEST(Chat, AsksWithTheTemplateOfTheModel) {
  PITH_NEED_DATA(from, "models/stories260K/hf");
  const TempFolder folder;
  const std::string model = chat_model(from, folder.path, kTemplate);
  const std::string question = "<user>Who is Tom?</s>\n<assistant>";
  EXPECT_EQ(answer(model + " ' Who is Tom? ' --chat").value("prompt", ""), "<s>" + question);
  const json told = answer(model + " 'Who is Tom?' --chat --system 'Be brief.'");
  EXPECT_EQ(told.value("prompt", ""), "<s><system>Be brief.</s>\n" + question);
  EXPECT_EQ(told.value("tokens", json::array()).size(), 4u);
  // BOS is not put before the one that the template writes: the raw text, to which it is added, gives as many tokens.
  const json raw = answer(model + " " + shell_quote(told.value("prompt", "").substr(3)));
  EXPECT_EQ(told.value("prompt_tokens", 0), raw.value("prompt_tokens", -1));
}

TEST(Chat, TheAnswerAloneIsPrinted) {
  PITH_NEED_DATA(from, "models/stories260K/hf");
  const TempFolder folder;
  const std::string model = chat_model(from, folder.path, kTemplate);
  const std::string ask = model + " 'Who is Tom?' --chat";
  const Ran ran = run_pith("generate " + ask + " -n 4");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, answer(ask).value("text", "") + "\n");
}

TEST(Chat, GoesOnFromAHistory) {
  PITH_NEED_DATA(from, "models/stories260K/hf");
  const TempFolder folder;
  const std::string model = chat_model(from, folder.path, kTemplate);
  const auto history = folder.path / "talk.json";
  std::ofstream(history)
      << R"([{"role": "user", "content": "Hi\u00e9"}, {"role": "assistant", "content": " Hello. "}])";
  const std::string more = " --chat --history " + shell_quote(history.string());
  EXPECT_EQ(answer(model + " 'Who is Tom?' --system S" + more).value("prompt", ""),
            "<s><system>S</s>\n<user>Hi\u00e9</s>\n<assistant>Hello.</s>\n<user>Who is Tom?</s>\n<assistant>");
  std::ofstream(history) << R"({"role": "user"})";
  const Ran ran = run_pith("generate " + model + " x" + more);
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.err.find("expected an array of messages"), std::string::npos) << ran.err;
}

TEST(Chat, WithoutATemplateItIsRefused) {
  PITH_NEED_DATA(from, "models/stories260K/hf");
  const TempFolder folder;
  const std::string model = chat_model(from, folder.path, "");
  const Ran ran = run_pith("generate " + model + " x --chat");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.err.find("the model has none"), std::string::npos) << ran.err;
  EXPECT_EQ(run_pith("generate " + model + " x --system S").exit_code, 2);  // needs --chat
  EXPECT_EQ(run_pith("generate " + model + " x --history " + shell_quote(folder.path.string())).exit_code, 2);
}

}  // namespace
}  // namespace pith::test
