#include "synth/instructions.h"

#include <algorithm>
#include <set>

#include "core/error.h"

namespace pith::synth {

namespace {

constexpr dim kPromptsOfRound = 8, kEmptyRounds = 5;
constexpr double kNearEnoughToTell = 0.3;

// Bytes of "12. ", "3) ", "- " or "* " at the beginning, 0: none of them.
std::size_t mark_of(std::string_view line) {
  std::size_t at = 0;
  while (at < line.size() && line[at] >= '0' && line[at] <= '9') ++at;
  const bool numbered = at > 0 && at < line.size() && (line[at] == '.' || line[at] == ')');
  const bool dashed = at == 0 && !line.empty() && (line[0] == '-' || line[0] == '*');
  const std::size_t end = at + 1;
  return (numbered || dashed) && end < line.size() && line[end] == ' ' ? end + 1 : 0;
}

// "**bold**" and quotes around all of it.
std::string bare(std::string text) {
  for (const std::string_view frame : {"**", "\"", "'", "*"})
    if (text.size() > 2 * frame.size() && text.starts_with(frame) && text.ends_with(frame))
      text = text.substr(frame.size(), text.size() - 2 * frame.size());
  return trimmed(text);
}

}  // namespace

std::vector<std::string> list_items(std::string_view reply, bool cut) {
  std::vector<std::string> items;
  bool inside = false;
  for (const std::string_view raw : lines_in(reply)) {
    const std::string line = trimmed(raw);
    if (const std::size_t mark = mark_of(line)) {
      items.push_back(line.substr(mark));
      inside = true;
    } else if (line.empty()) {
      inside = false;
    } else if (inside) {
      items.back() += "\n" + line;
    }
  }
  if (cut && !items.empty()) items.pop_back();
  for (std::string& item : items) item = bare(trimmed(item));
  return items;
}

std::string_view instruction_fault(std::string_view instruction) {
  constexpr std::size_t kFewestWords = 4, kMostWords = 150;
  static const std::set<std::string> kOtherMedia = {"image",  "images", "picture", "pictures", "photo",   "photos",
                                                    "graph",  "graphs", "chart",   "charts",   "file",    "files",
                                                    "map",    "maps",   "draw",    "drawing",  "plot",    "video",
                                                    "videos", "audio",  "diagram", "diagrams", "website", "link"};
  const std::vector<std::string> words = words_of(instruction);
  if (words.size() < kFewestWords || words.size() > kMostWords) return "words";
  const auto first = static_cast<unsigned char>(instruction[0]);
  const bool letter = (first | 0x20) >= 'a' && (first | 0x20) <= 'z';
  if (!letter && first < 0x80 && !(first >= '0' && first <= '9')) return "form";
  if (std::any_of(words.begin(), words.end(), [](const auto& w) { return kOtherMedia.contains(w); }))
    return "needs other media";
  return "";
}

InstructionPool::InstructionPool(Run& run, double most_alike) : run_(run), most_alike_(most_alike) {
  for (const SeedItem& seed : run.seeds) pool_.add(seed.question);
}

std::optional<NewInstruction> InstructionPool::take(const std::string& text, const Request& request) {
  if (const std::string_view fault = instruction_fault(text); !fault.empty()) {
    run_.drop(fault);
    return std::nullopt;
  }
  const double nearest = pool_.nearest(text, std::min(most_alike_, kNearEnoughToTell));
  if (nearest >= most_alike_) {
    run_.drop("rouge");
    return std::nullopt;
  }
  pool_.add(text);
  return NewInstruction{text, request, nearest, ""};
}

std::vector<NewInstruction> grow_instructions(Run& run, InstructionPool& pool, std::string_view name, dim count,
                                              const MakeRequest& make) {
  std::vector<NewInstruction> all;
  for (dim round = 0, empty = 0; dim(all.size()) < count && empty < kEmptyRounds; ++round) {
    std::vector<Request> requests;
    for (dim k = 0; k < kPromptsOfRound; ++k) requests.push_back(make(round * kPromptsOfRound + k, all));
    const auto replies = run.ask(fmt::format("{}: {} of {}", name, all.size(), count), requests);
    ++empty;
    for (std::size_t k = 0; k < replies.size(); ++k) {
      const Reply& reply = replies[k];
      if (reply.end == ReplyEnd::no_room) run.drop("room");
      const std::vector<std::string> items = list_items(reply.text, reply.end == ReplyEnd::length);
      if (items.empty()) run.drop("list");
      for (const std::string& item : items) {
        if (dim(all.size()) >= count) break;
        auto taken = pool.take(item, requests[k]);
        if (!taken) continue;
        all.push_back(std::move(*taken));
        empty = 0;
      }
    }
  }
  return all;
}

void answer_instructions(Run& run, const std::vector<NewInstruction>& instructions, dim stream) {
  std::vector<Request> requests;
  for (std::size_t i = 0; i < instructions.size(); ++i)
    for (dim s = 0; s < run.choice.samples; ++s)
      requests.push_back(run.request(user(instructions[i].text), stream, dim(i), s));
  const auto replies = run.ask("answers", requests);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (!run.usable(replies[i])) continue;
    const NewInstruction& from = instructions[i / std::size_t(run.choice.samples)];
    Record record;
    record.messages = pair_of(user(from.text), trimmed(replies[i].text));
    record.stage = from.stage;
    record.request = requests[i];
    record.question_request = from.request;
    record.filters = {"list", "words", "form", "media", "rouge"};
    record.scores = {{"nearest_rouge_l", from.nearest}};
    run.emit(std::move(record));
  }
}

std::vector<std::size_t> draw_some(Rng& rng, std::size_t n, std::size_t count) {
  std::vector<std::size_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = i;
  const std::size_t taken = std::min(n, count);
  for (std::size_t i = 0; i < taken; ++i) std::swap(order[i], order[i + std::size_t(rng.below(dim(n - i)))]);
  order.resize(taken);
  return order;
}

std::string numbered(const std::vector<std::string>& items) {
  std::string out;
  for (std::size_t i = 0; i < items.size(); ++i) out += fmt::format("{}. {}\n", i + 1, items[i]);
  return out;
}

OptionSpec alike_option() {
  return {"rouge", "0.7", "new instructions whose ROUGE-L with any other reaches this are dropped", {}, 0, 1};
}

}  // namespace pith::synth
