#include "compress/prune/pattern.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"

namespace pith {

namespace {

constexpr dim kLongestPattern = 1024;

// keep = of = 0 where the text is no pattern.
Pruning parsed(std::string_view text) {
  Pruning out;
  const auto colon = text.find(':');
  if (colon == text.npos) return out;
  dim keep = 0, of = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), text.data() + colon, keep);
  const auto second = std::from_chars(text.data() + colon + 1, end, of);
  if (first.ec != std::errc() || first.ptr != text.data() + colon || second.ec != std::errc() || second.ptr != end)
    return out;
  if (keep < 1 || of <= keep || of > kLongestPattern) return out;
  out.keep = keep;
  out.of = of;
  return out;
}

std::string pattern_fault(std::string_view text) {
  return text == "none" || parsed(text).pattern() ? "" : "none, or N:M such as 2:4";
}

}  // namespace

OptionSpec sparsity_option() {
  return {.name = "sparsity",
          .default_value = "50",
          .help = "percent of each matrix' values that become 0, where there is no pattern",
          .choices = {},
          .low = 0,
          .high = 99.9};
}

OptionSpec pattern_option() {
  return {.name = "pattern",
          .default_value = "none",
          .help = "N:M: of each M neighbours in a row N stay, as 2:4 or 4:8",
          .choices = {},
          .fault = pattern_fault};
}

OptionSpec scope_option(std::string_view default_value) {
  return {.name = "scope",
          .default_value = default_value,
          .help = "scores are compared within a row, or over the whole matrix",
          .choices = {"row", "matrix"}};
}

Pruning pattern_of(const Options& options) { return parsed(options.text("pattern")); }

Pruning pruning_of(const Options& options) {
  Pruning out = pattern_of(options);
  out.share = options.number("sparsity") / 100;
  out.scope = options.text("scope") == "row" ? PruneScope::row : PruneScope::matrix;
  return out;
}

dim Pruning::dropped(dim rows, dim begin, dim end) const {
  if (pattern()) {
    const auto up_to = [&](dim column) { return column / of * (of - keep) + column % of * (of - keep) / of; };
    return rows * (up_to(end) - up_to(begin));
  }
  if (scope == PruneScope::row) return rows * (std::lrint(share * double(end)) - std::lrint(share * double(begin)));
  return std::lrint(share * double(rows) * double(end)) - std::lrint(share * double(rows) * double(begin));
}

dim kept_values(dim rows, dim cols, const Options& options) {
  return rows * cols - pruning_of(options).dropped(rows, 0, cols);
}

void drop_lowest(std::span<const float> scores, dim count, std::uint8_t* kept) {
  PITH_CHECK(0 <= count && count <= dim(scores.size()));
  std::fill_n(kept, scores.size(), std::uint8_t(1));
  if (count == 0) return;
  std::vector<float> order(scores.begin(), scores.end());
  const auto at = order.begin() + (count - 1);
  std::nth_element(order.begin(), at, order.end());
  const float most = *at;  // the largest that is dropped, with as many of its equals as are still to go
  dim equals = count;
  for (const float score : scores) equals -= score < most;
  for (std::size_t i = scores.size(); i-- > 0;) {
    if (scores[i] < most) kept[i] = 0;
    if (scores[i] != most || equals == 0) continue;
    kept[i] = 0;
    --equals;
  }
}

void drop_by_pattern(const Pruning& p, std::span<const float> scores, std::uint8_t* kept) {
  const dim n = dim(scores.size());
  std::fill_n(kept, n, std::uint8_t(1));
  for (dim begin = 0; begin < n; begin += p.of) {
    const dim end = std::min(n, begin + p.of);
    for (dim left = (end - begin) * (p.of - p.keep) / p.of; left > 0; --left) {
      dim lowest = -1;
      for (dim i = begin; i < end; ++i)
        if (kept[i] && (lowest < 0 || scores[std::size_t(i)] <= scores[std::size_t(lowest)])) lowest = i;
      kept[lowest] = 0;
    }
  }
}

}  // namespace pith
