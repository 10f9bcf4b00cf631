#include "synth/filters/rouge_pool.h"

#include <algorithm>

#include "core/parallel.h"
#include "synth/text.h"

namespace pith::synth {

namespace {

double f_measure(dim common, std::size_t a, std::size_t b) {
  return a + b == 0 ? 0 : 2 * double(common) / double(a + b);
}

dim shared_words(const std::vector<int>& a, const std::vector<int>& b) {  // both sorted
  dim count = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i] == b[j])
      ++count, ++i, ++j;
    else if (a[i] < b[j])
      ++i;
    else
      ++j;
  }
  return count;
}

dim longest_common_subsequence(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<dim> best(b.size() + 1, 0);
  for (const int word : a) {
    dim diagonal = 0;  // of the row before
    for (std::size_t j = 0; j < b.size(); ++j) {
      const dim above = best[j + 1];
      best[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, best[j]);
      diagonal = above;
    }
  }
  return best.back();
}

}  // namespace

double RougePool::nearest(std::string_view text, double floor) const {
  Ids words;
  for (const std::string& word : words_of(text)) {
    const auto at = ids_.find(word);
    words.push_back(at == ids_.end() ? -1 : at->second);  // unknown ones are like none
  }
  Ids sorted = words;
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> near(texts_.size(), 0.0);
  parallel_for(
      dim(texts_.size()),
      [&](dim i) {
        const Ids& other = texts_[std::size_t(i)];
        // No subsequence is longer than the shorter text, or has more than the words of both.
        const dim most = dim(std::min(words.size(), other.size()));
        if (f_measure(most, words.size(), other.size()) < floor) return;
        const dim shared = shared_words(sorted, sorted_[std::size_t(i)]);
        if (f_measure(shared, words.size(), other.size()) < floor) return;
        const double f = f_measure(longest_common_subsequence(words, other), words.size(), other.size());
        if (f >= floor) near[std::size_t(i)] = f;
      },
      64);
  return near.empty() ? 0 : *std::max_element(near.begin(), near.end());
}

void RougePool::add(std::string_view text) {
  Ids words;
  for (std::string& word : words_of(text))
    words.push_back(ids_.emplace(std::move(word), int(ids_.size())).first->second);
  sorted_.push_back(words);
  std::sort(sorted_.back().begin(), sorted_.back().end());
  texts_.push_back(std::move(words));
}

}  // namespace pith::synth
