#include "eval/kept_base.h"

#include <fmt/format.h>

#include "io/sha256.h"

namespace pith {

namespace {

std::string key_of(const Model& base, const WindowSet& set, std::span<const WindowStep> steps) {
  Sha256 hash;
  hash.update(base.source_stamp());
  hash.update(fmt::format(" {} {} {}", set.protocol, set.context, steps.size()));
  for (const WindowStep& step : steps) hash.update(fmt::format(" {}", step.rows));
  for (const Window& window : set.windows) {
    hash.update(fmt::format(" {} {} ", window.first_scored, window.tokens.size()));
    hash.update({reinterpret_cast<const char*>(window.tokens.data()), window.tokens.size() * sizeof(Token)});
  }
  return hash.hex();
}

}  // namespace

void KeptBase::begin(const Model& base, const WindowSet& set, std::span<const WindowStep> steps) {
  std::string key = key_of(base, set, steps);
  if (complete_ && key == key_) return;
  key_ = std::move(key);
  complete_ = false;
  steps_.clear();
  scratch_ = Scratch();
  wants_ = set.tokens_scored <= most_bytes_ / (base.config().vocab * dim(sizeof(float)));
}

void KeptBase::finish(const RunTotals& totals) {
  totals_ = totals;
  complete_ = wants_;
  wants_ = false;
}

}  // namespace pith
