// Passkey retrieval (after Mohtashami and Jaggi 2023): a number in the middle of much text that says nothing, asked for
// at the end. Generated from a seed; long contexts show what stored keys and values have lost.
#include <fmt/format.h>

#include <algorithm>

#include "core/rng.h"
#include "eval/tasks/sets/forms.h"

namespace pith {
namespace {

constexpr int kDepths = 5, kKeysPerDepth = 4;

std::string filler(Rng& rng) {
  static constexpr const char* kSubjects[] = {"The river", "A cloud",    "The old road", "The garden",
                                              "The wind",  "A far hill", "The harbour",  "The evening"};
  static constexpr const char* kVerbs[] = {"lies", "moves", "waits", "turns", "rests", "passes"};
  static constexpr const char* kPlaces[] = {"under the pale sky", "beside the quiet field", "behind the stone wall",
                                            "along the low shore", "before the rain"};
  const char* subject = kSubjects[rng.below(8)];
  const char* verb = kVerbs[rng.below(6)];
  return fmt::format("{} {} {}. ", subject, verb, kPlaces[rng.below(5)]);
}

// About `tokens` tokens, the key at `depth` (0: the beginning, 1: the end).
Document haystack(const Tokenizer& tokenizer, dim tokens, double depth, std::uint64_t seed) {
  Rng rng(seed);
  const std::string key = std::to_string(10000 + rng.below(90000));
  const std::string needle = fmt::format("The pass key is {}. Remember it: {} is the pass key. ", key, key);
  const std::string beginning = "Important information is hidden in the text below. Find it and remember it.\n\n";
  const std::string end = "\n\nWhat is the pass key? The pass key is";
  const dim room = tokens - dim(tokenizer.encode(beginning + needle + end, false, false).size());
  std::string before, behind;
  for (dim used = 0; used < room;) {
    const std::string sentence = filler(rng);
    used += dim(tokenizer.encode(sentence, false, false).size());
    (double(used) <= depth * double(room) ? before : behind) += sentence;
  }
  Document d;
  d.groups = {fmt::format("{}_tokens", tokens)};
  d.context = beginning + before + needle + behind + end;
  d.answers = {key};
  d.solution = key + ".";
  return d;
}

TaskData haystacks(TaskSource& source) {
  TaskData data;
  const dim limit = source.context > 0 ? source.context : 4096;
  for (const dim tokens : {256, 512, 1024, 2048, 4096, 8192, 16384, 32768}) {
    if (tokens + 16 > limit) break;
    for (int i = 0; i < kDepths * kKeysPerDepth; ++i)
      data.documents.push_back(haystack(source.tokenizer, tokens, double(i % kDepths) / (kDepths - 1),
                                        mix64(source.seed, std::uint64_t(tokens * 1000 + i))));
  }
  if (data.documents.empty()) throw input_error("passkey", "expected a context of at least 272 tokens, got {}", limit);
  return data;
}

}  // namespace

extern const Task passkey_task;
const Task passkey_task = {
    .name = "passkey",
    .summary = "a number hidden in long text, 256 tokens up to the model's context (--limit N: N keys a length)",
    .form = "generated from --seed",
    .type = OutputType::generation,
    .metrics = {&metric_contains},
    .load = haystacks,
    .until = {"\n"},
    .max_tokens = 12,
};

}  // namespace pith
