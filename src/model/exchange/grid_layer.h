// A packed linear layer on its way into a model: codes on an even grid, whatever the layout that stored them.
#pragma once
#include <functional>

#include "formats/grid.h"
#include "model/exchange/checkpoint.h"

namespace pith {

struct GridLayer {
  std::string name;  // "....weight"
  dim rows = 0, cols = 0;
  Grid grid;            // the last group may be shorter
  bool by_row = false;  // one group per row is meant, rather than a group as long as the row
  bool wide = false;    // where values are decoded: to bfloat16, since float16 may not hold them
  // Unsigned codes of rows [begin, end) into (end - begin, cols); from many threads at once.
  std::function<void(dim begin, dim end, std::uint8_t* codes)> codes;
  struct Group {
    float scale = 0, min = 0;
    int zero = 0;
  };
  std::function<Group(dim row, dim group)> group;
  std::vector<std::int32_t> group_of_col;  // (cols); empty: in the order of the columns
};

// In the format that has the same grid where there is one, else decoded to float16 or bfloat16, with a note.
ModelTensor to_tensor(const GridLayer& layer, Unpacked& out);

}  // namespace pith
