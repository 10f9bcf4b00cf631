#include "eval/protocols.h"

#include <array>

#include "core/error.h"

namespace pith {
namespace {

constexpr std::array kProtocols = {
    Protocol{.name = "gptq-2048",
             .summary = "the GPTQ papers' perplexity: rows joined by two newlines, windows of 2048, every prediction",
             .context = 2048,
             .rows = RowRule::wikitext},
    Protocol{.name = "llamacpp-512",
             .summary = "llama-perplexity's default: windows of 512, predictions of the second half",
             .context = 512,
             .bos = BosRule::replace_first,
             .drop_newline = true,
             .second_half_only = true},
    Protocol{.name = "strided",
             .summary =
                 "transformers' sliding window: 1024 tokens, 512 further each time, the new tokens' predictions; "
                 "rows joined by two newlines",
             .context = 1024,
             .overlap = 512,
             .rows = RowRule::wikitext,
             .tail = TailRule::shorter},
    Protocol{.name = "rolling",
             .summary =
                 "lm-evaluation-harness's rolling log-likelihood: BOS or EOS, then every token of the text once, "
                 "in windows as long as the model takes",
             .overlap = 1,
             .bos = BosRule::always,
             .tail = TailRule::slide_back},
    Protocol{.name = "ptb-2048",
             .summary = "Penn Treebank as the GPTQ papers take it: sentences joined by spaces, windows of 2048",
             .context = 2048,
             .rows = RowRule::sentences},
    Protocol{.name = "c4-2048",
             .summary =
                 "C4 as the GPTQ papers take it: the first 1100 documents of the .jsonl joined by spaces, of them "
                 "256 windows of 2048",
             .context = 2048,
             .windows = 256,
             .documents = 1100,
             .document_separator = " "},
    Protocol{.name = "long",
             .summary = "one window as long as the model takes (--context N: of N), with the perplexity by position",
             .tail = TailRule::shorter,
             .windows = 1},
    Protocol{
        .name = "bpb",
        .summary = "bits per byte, comparable between vocabularies: windows of 1024, every prediction and the tail",
        .context = 1024,
        .bos = BosRule::before_windows,
        .tail = TailRule::shorter},
    Protocol{.name = "stories-256",
             .summary = "for very small models: windows of BOS and 255 tokens, every prediction",
             .context = 256,
             .bos = BosRule::before_windows},
};

}  // namespace

std::span<const Protocol> all_protocols() { return kProtocols; }

const Protocol& protocol_or_throw(std::string_view name) {
  std::string names;
  for (const Protocol& protocol : kProtocols) {
    if (protocol.name == name) return protocol;
    names += names.empty() ? "" : ", ";
    names += protocol.name;
  }
  throw input_error("protocol", "expected one of {}, got '{}'", names, name);
}

}  // namespace pith
