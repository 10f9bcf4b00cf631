// A set of byte strings with a value each, walked byte by byte.
#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "core/base.h"

namespace pith {

class ByteTrie {
 public:
  ByteTrie() { roots_.fill(-1); }

  void insert(std::string_view text, std::int32_t value) {
    if (text.empty()) return;
    std::int32_t* link = &roots_[static_cast<unsigned char>(text[0])];
    if (*link < 0) *link = add(text[0]);
    std::int32_t node = *link;
    for (const char c : text.substr(1)) {
      std::int32_t child = find_child(node, c);
      if (child < 0) {
        child = add(c);
        nodes_[std::size_t(child)].sibling = nodes_[std::size_t(node)].child;
        nodes_[std::size_t(node)].child = child;
      }
      node = child;
    }
    nodes_[std::size_t(node)].value = value;
  }

  bool empty() const { return nodes_.empty(); }
  bool may_start(char c) const { return roots_[static_cast<unsigned char>(c)] >= 0; }

  // Calls visit(end, value) for every string of the set that begins at `at`, the shortest first.
  template <class Visit>
  void visit_prefixes(std::string_view text, std::size_t at, Visit visit) const {
    std::int32_t node = roots_[static_cast<unsigned char>(text[at])];
    while (node >= 0) {
      ++at;
      const Node& n = nodes_[std::size_t(node)];
      if (n.value >= 0) visit(at, n.value);
      if (at == text.size()) return;
      node = find_child(node, text[at]);
    }
  }

 private:
  struct Node {
    std::int32_t child = -1, sibling = -1, value = -1;
    char byte = 0;
  };
  std::int32_t add(char byte) {
    nodes_.push_back({.byte = byte});
    return std::int32_t(nodes_.size() - 1);
  }
  std::int32_t find_child(std::int32_t node, char byte) const {
    std::int32_t child = nodes_[std::size_t(node)].child;
    while (child >= 0 && nodes_[std::size_t(child)].byte != byte) child = nodes_[std::size_t(child)].sibling;
    return child;
  }

  std::array<std::int32_t, 256> roots_;
  std::vector<Node> nodes_;
};

}  // namespace pith
