// Texts that a new one must not be like: ROUGE-L (eval/tasks/text_scores.h) against all of them, without comparing what
// cannot be near.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"

namespace pith::synth {

class RougePool {
 public:
  // The largest F measure of the text with any of the pool that is at least `floor`; 0 where there is none.
  double nearest(std::string_view text, double floor) const;
  void add(std::string_view text);
  dim size() const { return dim(texts_.size()); }

 private:
  using Ids = std::vector<int>;
  std::map<std::string, int, std::less<>> ids_;
  std::vector<Ids> texts_, sorted_;  // words in order, and by id
};

}  // namespace pith::synth
