// The residual stream of all calibration sequences between two blocks: in memory, or in a nameless file where it is
// larger than it may be.
#pragma once
#include <filesystem>
#include <vector>

#include "core/buffer.h"

namespace pith {

class HiddenStates {
 public:
  // values[i]: of sequence i. In memory up to max_ram_bytes, else in a file in `folder` that ends with this object.
  // Error(environment) when it cannot be written.
  HiddenStates(std::vector<dim> values, dim max_ram_bytes, const std::filesystem::path& folder);
  HiddenStates(const HiddenStates&) = delete;
  HiddenStates& operator=(const HiddenStates&) = delete;
  ~HiddenStates();
  void load(std::size_t sequence, float* to) const;
  void store(std::size_t sequence, const float* from);
  dim ram_bytes() const { return memory_.size_bytes(); }

 private:
  std::vector<dim> values_, start_;
  Buffer memory_;
  int file_ = -1;
};

}  // namespace pith
