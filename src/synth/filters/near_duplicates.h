// Records that say again what an earlier one said.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "synth/filters/rouge_pool.h"

namespace pith::synth {

enum class DuplicateKind { none, exact, minhash, rouge };

struct DuplicateChoice {
  DuplicateKind kind = DuplicateKind::exact;
  double threshold = 0.8;  // minhash: of the Jaccard index of runs of five characters; rouge: of ROUGE-L's F
};
// "exact", "minhash", "minhash:0.8", "rouge:0.7", "none". Error(input).
DuplicateChoice duplicate_choice(std::string_view text);
std::string text_of(const DuplicateChoice& choice);

// Hashes of a text's runs of five characters, sorted, each once. ASCII in lower case, white space as one space.
std::vector<std::uint64_t> shingles(std::string_view text);
double jaccard(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b);  // of sorted sets

// MinHash with banded lookup (Broder 1997; Leskovec, Rajaraman, Ullman, ch. 3): 128 hashes in as few bands as find one
// at the threshold with probability 0.999. What is found is compared exactly.
class MinHashIndex {
 public:
  explicit MinHashIndex(double threshold);
  // The largest Jaccard index among the found that reaches the threshold; 0: none.
  double nearest(const std::vector<std::uint64_t>& set) const;
  void add(std::vector<std::uint64_t> set);
  dim rows() const { return rows_; }  // of a band

 private:
  std::vector<std::uint64_t> bands_of(const std::vector<std::uint64_t>& set) const;
  double threshold_;
  dim rows_;
  std::vector<std::vector<std::uint64_t>> sets_;
  std::unordered_map<std::uint64_t, std::vector<std::size_t>> buckets_;  // by band and its hash
};

class NearDuplicates {
 public:
  explicit NearDuplicates(const DuplicateChoice& choice) : choice_(choice), index_(choice.threshold) {}
  // Remembers the text unless it is one; then the name of the filter that says so, else "".
  std::string_view check(const std::string& text);

 private:
  DuplicateChoice choice_;
  std::set<std::string> exact_;
  MinHashIndex index_;
  RougePool pool_;
};

}  // namespace pith::synth
