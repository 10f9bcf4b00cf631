#include "synth/seeds.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/files.h"
#include "io/json.h"
#include "synth/text.h"

namespace pith::synth {

namespace {

using Json = nlohmann::json;

constexpr const char* kHint =
    "a line is an object with messages, or with instruction, question, query, prompt, context or turns";

// "Question: ...\nAnswer:" without its frame.
std::string unframed(std::string text) {
  text = trimmed(text);
  for (const char* head : {"Question:", "Q:"})
    if (text.starts_with(head)) {
      text = trimmed(std::string_view(text).substr(std::string_view(head).size()));
      break;
    }
  for (const char* tail : {"\nAnswer:", "\nA:"})
    if (text.ends_with(tail)) text.resize(text.size() - std::string_view(tail).size());
  return trimmed(text);
}

class Item {
 public:
  Item(const Json& record, const std::string& where, std::string source) : record_(record), where_(where) {
    if (!record.is_object())
      throw Error(Blame::input, where, fmt::format("expected an object, got {}", record.type_name()), kHint);
    item_.source = std::move(source);
  }

  SeedItem take() {
    if (record_.contains("messages"))
      conversation();
    else
      question();
    if (item_.question.empty())
      throw Error(Blame::input, where_, "expected a question or an instruction, got none", kHint);
    if (item_.rationale.empty()) item_.rationale = first_of({"chain_of_thought", "rationale", "explanation"});
    if (const auto mark = item_.answer.find("#### "); mark != item_.answer.npos) {
      if (item_.rationale.empty()) item_.rationale = trimmed(std::string_view(item_.answer).substr(0, mark));
      item_.answer = trimmed(std::string_view(item_.answer).substr(mark + 5));
    }
    return std::move(item_);
  }

 private:
  std::string text(const char* name) const {
    const auto at = record_.find(name);
    if (at == record_.end() || at->is_null()) return "";
    if (at->is_number()) return at->dump();
    if (!at->is_string())
      throw input_error(where_, "expected {} to be a string or a number, got {}", name, at->type_name());
    return trimmed(at->get_ref<const std::string&>());
  }
  std::string first_of(std::initializer_list<const char*> names) const {
    for (const char* name : names)
      if (std::string found = text(name); !found.empty()) return found;
    return "";
  }

  void conversation() {
    const Json& list = record_["messages"];
    if (!list.is_array()) throw input_error(where_, "expected messages to be an array, got {}", list.type_name());
    Conversation all;
    for (const Json& m : list) {
      if (!m.is_object() || !m.contains("role") || !m["role"].is_string() || !m.contains("content") ||
          !m["content"].is_string())
        throw input_error(where_, "expected messages to be objects with a role and a content");
      all.push_back({m["role"].get<std::string>(), m["content"].get<std::string>()});
    }
    if (!all.empty() && all.back().role == "assistant") {
      item_.answer = trimmed(all.back().content);
      all.pop_back();
    }
    if (all.empty() || all.back().role != "user")
      throw input_error(where_, "expected messages to end with a user's, or an assistant's after it");
    item_.question = trimmed(all.back().content);
    all.pop_back();
    item_.before = std::move(all);
  }

  void question() {
    item_.question = unframed(first_of({"instruction", "question", "query", "prompt", "context"}));
    if (const auto turns = record_.find("turns"); item_.question.empty() && turns != record_.end())
      if (turns->is_array() && !turns->empty() && (*turns)[0].is_string())
        item_.question = trimmed((*turns)[0].get_ref<const std::string&>());
    if (const std::string more = text("input"); !more.empty()) item_.question += "\n" + more;
    item_.answer = first_of({"output", "answer", "target", "continuation"});
    if (record_.contains("choices")) choices();
  }

  void choices() {
    const Json& list = record_["choices"];
    const auto gold = record_.find("gold");
    const bool strings = list.is_array() && !list.empty() && list.size() <= 26 &&
                         std::all_of(list.begin(), list.end(), [](const Json& c) { return c.is_string(); });
    if (!strings) throw input_error(where_, "expected choices to be an array of 1 to 26 strings");
    if (gold == record_.end() || !gold->is_number_integer() || gold->get<dim>() < 0 ||
        gold->get<dim>() >= dim(list.size()))
      throw input_error(where_, "expected gold to be the index of one of {} choices", list.size());
    const bool shown = list.size() == 2 || item_.question.find(list[0].get<std::string>()) != std::string::npos;
    if (!shown) item_.question += "\nChoices:";
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string letter(1, char('A' + i)), choice = trimmed(list[i].get_ref<const std::string&>());
      if (!shown) item_.question += fmt::format("\n{}. {}", letter, choice);
      const std::string& named = shown ? choice : letter;
      if (dim(i) == gold->get<dim>())
        item_.answer = named;
      else
        item_.wrong.push_back(named);
    }
  }

  const Json& record_;
  const std::string& where_;
  SeedItem item_;
};

// each(line, number) on lines that are not empty, until it is false.
template <class Each>
void each_line(std::string_view text, const Each& each) {
  dim number = 0;
  for (const std::string_view raw : lines_in(text)) {
    ++number;
    if (const std::string line = trimmed(raw); !line.empty())
      if (!each(line, number)) return;
  }
}

}  // namespace

Conversation SeedItem::conversation() const {
  Conversation all = before;
  all.push_back({"user", question});
  return all;
}

std::vector<SeedItem> read_seeds(std::span<const std::filesystem::path> files, dim limit) {
  std::vector<SeedItem> all;
  for (const auto& path : files) {
    const std::string text = read_text_file(path), name = path.filename().string();
    dim taken = 0;
    const auto add = [&](const Json& record, const char* unit, dim number) {
      all.push_back(Item(record, fmt::format("{}, {} {}", path.string(), unit, number),
                         fmt::format("{}, {} {}", name, unit, number))
                        .take());
      ++taken;
      return limit == 0 || taken < limit;
    };
    if (path.extension() == ".json") {
      const Json list = parse_json(text, path.string());
      if (!list.is_array())
        throw Error(Blame::input, path.string(), fmt::format("expected an array of records, got {}", list.type_name()),
                    "one object a line is .jsonl");
      dim number = 0;
      for (const Json& record : list)
        if (!add(record, "record", ++number)) break;
    } else if (path.extension() == ".jsonl") {
      each_line(text, [&](const std::string& line, dim number) {
        return add(parse_json(line, fmt::format("{}, line {}", path.string(), number)), "line", number);
      });
    } else {
      each_line(text, [&](const std::string& line, dim number) {
        return add(Json{{"question", line}}, "line", number);
      });
    }
    if (taken == 0) throw Error(Blame::input, path.string(), "expected at least one record, got none", kHint);
  }
  if (all.empty()) throw Error(Blame::input, "data", "expected at least one record, got none", kHint);
  return all;
}

std::vector<std::string> read_topics(const std::filesystem::path& file) {
  std::vector<std::string> topics;
  each_line(read_text_file(file), [&](const std::string& line, dim) {
    topics.push_back(line);
    return true;
  });
  if (topics.empty()) throw input_error(file.string(), "expected a topic a line, got none");
  return topics;
}

}  // namespace pith::synth
