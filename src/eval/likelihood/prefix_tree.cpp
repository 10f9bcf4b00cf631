#include "eval/likelihood/prefix_tree.h"

#include <algorithm>
#include <numeric>

namespace pith {
namespace {

class Builder {
 public:
  Builder(std::span<const PrefixInput> inputs, dim least_saved, PrefixTree& tree)
      : inputs_(inputs), least_saved_(least_saved), tree_(tree), order_(inputs.size()) {
    std::iota(order_.begin(), order_.end(), dim(0));
    std::stable_sort(order_.begin(), order_.end(),
                     [&](dim a, dim b) { return std::ranges::lexicographical_compare(tokens(a), tokens(b)); });
  }

  void build() {
    if (!order_.empty()) group({0, dim(order_.size()), -1, 0, 0});
  }

 private:
  // Inputs order_[first, last): equal up to `equal`, run up to `begin` by the node `parent`.
  struct Group {
    dim first, last, parent, begin, equal;
  };

  std::span<const Token> tokens(dim input) const { return inputs_[std::size_t(input)].tokens; }
  std::span<const Token> sorted(dim at) const { return tokens(order_[std::size_t(at)]); }

  void group(Group g) {
    const dim n = g.last - g.first;
    const dim shared = common_prefix(sorted(g.first), sorted(g.last - 1));
    const bool same = shared == dim(sorted(g.last - 1).size());
    if (shared > g.begin && (same || (n > 1 && (shared - g.begin) * (n - 1) >= least_saved_))) {
      g.parent = add_node(g, shared);
      g.begin = shared;
    }
    if (same) return;
    // Those that end here come first.
    dim first = g.first;
    while (dim(sorted(first).size()) == shared) ++first;
    if (first > g.first && g.begin < shared) group({g.first, first, g.parent, g.begin, shared});
    while (first < g.last) {
      const Token next = sorted(first)[std::size_t(shared)];
      dim last = first + 1;
      while (last < g.last && sorted(last)[std::size_t(shared)] == next) ++last;
      group({first, last, g.parent, g.begin, shared});
      first = last;
    }
  }

  dim add_node(const Group& g, dim end) {
    PrefixNode node;
    node.parent = g.parent;
    node.level = g.parent < 0 ? 0 : tree_.nodes[std::size_t(g.parent)].level + 1;
    node.input = order_[std::size_t(g.first)];
    node.begin = g.begin;
    node.end = node.wanted_from = end;
    const dim index = dim(tree_.nodes.size());
    for (dim i = g.first; i < g.last; ++i) {
      const dim input = order_[std::size_t(i)];
      const dim from = std::max(inputs_[std::size_t(input)].wanted_from, g.begin);
      node.wanted_from = std::min(node.wanted_from, from);
      for (dim p = from; p < end; ++p) tree_.uses.push_back({index, p, input});
    }
    tree_.nodes.push_back(node);
    return index;
  }

  std::span<const PrefixInput> inputs_;
  dim least_saved_;
  PrefixTree& tree_;
  std::vector<dim> order_;
};

// Nodes by level, and the slots: a node's first child goes on in its slot, every other one gets its own.
void settle(PrefixTree& tree) {
  std::vector<dim> by_level(tree.nodes.size()), place(tree.nodes.size());
  std::iota(by_level.begin(), by_level.end(), dim(0));
  std::stable_sort(by_level.begin(), by_level.end(),
                   [&](dim a, dim b) { return tree.nodes[std::size_t(a)].level < tree.nodes[std::size_t(b)].level; });
  for (std::size_t i = 0; i < by_level.size(); ++i) place[std::size_t(by_level[i])] = dim(i);
  std::vector<PrefixNode> nodes;
  std::vector<char> goes_on(tree.nodes.size(), 0);
  for (const dim old : by_level) {
    PrefixNode node = tree.nodes[std::size_t(old)];
    if (node.parent >= 0) node.parent = place[std::size_t(node.parent)];
    if (node.parent >= 0 && !goes_on[std::size_t(node.parent)]) {
      goes_on[std::size_t(node.parent)] = 1;
      node.slot = nodes[std::size_t(node.parent)].slot;
    } else {
      node.slot = tree.slots++;
    }
    tree.levels = std::max(tree.levels, node.level + 1);
    tree.tokens += node.end - node.begin;
    nodes.push_back(node);
  }
  tree.nodes = std::move(nodes);
  for (PrefixUse& use : tree.uses) use.node = place[std::size_t(use.node)];
  std::stable_sort(tree.uses.begin(), tree.uses.end(), [](const PrefixUse& a, const PrefixUse& b) {
    return a.node != b.node ? a.node < b.node : a.position < b.position;
  });
}

}  // namespace

dim common_prefix(std::span<const Token> a, std::span<const Token> b) {
  return dim(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

PrefixTree make_prefix_tree(std::span<const PrefixInput> inputs, dim least_saved) {
  PrefixTree tree;
  Builder(inputs, least_saved, tree).build();
  settle(tree);
  return tree;
}

}  // namespace pith
