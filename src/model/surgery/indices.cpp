#include "model/surgery/indices.h"

namespace pith {

std::string renumbered(const std::string& name, dim layer, dim expert) {
  const dim numbers[] = {layer, expert};
  std::string out;
  for (std::size_t begin = 0, seen = 0; begin < name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    std::string part = name.substr(begin, end - begin);
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == part.npos;
    if (number && seen < 2 && numbers[seen] >= 0) part = std::to_string(numbers[seen++]);
    out += (begin == 0 ? "" : ".") + part;
    begin = end + 1;
  }
  return out;
}

}  // namespace pith
