// Token sequences that begin alike, as a tree: what several share is one node and is run once.
#pragma once
#include <span>
#include <vector>

#include "core/base.h"

namespace pith {

struct PrefixInput {
  std::span<const Token> tokens;  // not empty
  dim wanted_from = 0;            // the logits that follow tokens[wanted_from ...] are wanted
};

// tokens[begin, end) of one input (equal in all inputs below it), run after those of `parent`.
struct PrefixNode {
  dim parent = -1;
  dim level = 0;
  dim slot = 0;  // of the cache; the first child of a node goes on in its parent's
  dim input = 0;
  dim begin = 0, end = 0;
  dim wanted_from = 0;  // logits from this position on; end: none
};

// The logits that follow a position of a node belong to this input.
struct PrefixUse {
  dim node = 0;
  dim position = 0;
  dim input = 0;
};

struct PrefixTree {
  std::vector<PrefixNode> nodes;  // by level; parents before their children
  std::vector<PrefixUse> uses;    // by node, then by position
  dim levels = 0, slots = 0;
  dim tokens = 0;  // of all nodes
};

// Part of the inputs is shared where that saves at least `least_saved` tokens.
PrefixTree make_prefix_tree(std::span<const PrefixInput> inputs, dim least_saved = 8);

// Tokens that both begin with.
dim common_prefix(std::span<const Token> a, std::span<const Token> b);

}  // namespace pith
