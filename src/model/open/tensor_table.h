// A family's tensor names in one container, and the shapes its choices ask for.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/arch.h"

namespace pith {

class TensorTable {
 public:
  TensorTable(const Arch& arch, bool hf);
  struct Match {
    const TensorName* entry = nullptr;  // null: the family has no such tensor
    dim layer = -1, expert = -1;
    std::size_t row = 0;  // of the table
  };
  Match match(std::string_view name) const;
  bool hf() const { return hf_; }
  std::string_view name(const TensorName& entry) const { return hf_ ? entry.hf : entry.gguf; }

 private:
  const Arch& arch_;
  bool hf_;
  std::map<std::string, std::size_t, std::less<>> by_pattern_;
};

// "blk.{}.attn_q.weight", 3 -> "blk.3.attn_q.weight"; a second {} is the expert
std::string tensor_name(std::string_view pattern, dim layer, dim expert = -1);

// A matrix NAME.weight has its inner factor in NAME.inner.weight, its difference from a shared matrix in
// NAME.difference_a.weight and NAME.difference_b.weight. And back: none where it is no such name.
std::string name_of_part(std::string_view weight, Part part);
struct NamedPart {
  std::string weight;
  Part part = Part::weight;
};
std::optional<NamedPart> named_part(std::string_view name);

// Slowest dimension first; of one expert. `hf`: as Hugging Face stores it (Conv1D apart).
std::vector<dim> expected_shape(const Config& config, Role role, Part part, bool hf);

}  // namespace pith
