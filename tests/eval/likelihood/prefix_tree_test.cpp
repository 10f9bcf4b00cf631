#include "eval/likelihood/prefix_tree.h"

#include <gtest/gtest.h>

#include <map>

#include "core/rng.h"

namespace pith {
namespace {

std::vector<PrefixInput> inputs_of(const std::vector<std::vector<Token>>& texts, const std::vector<dim>& wanted_from) {
  std::vector<PrefixInput> inputs;
  for (std::size_t i = 0; i < texts.size(); ++i) inputs.push_back({texts[i], wanted_from[i]});
  return inputs;
}

TEST(PrefixTree, AContextIsRunOnceForItsChoices) {
  const std::vector<std::vector<Token>> texts = {{1, 2, 3, 4, 9, 9}, {1, 2, 3, 4, 8}, {1, 2, 3, 4, 7, 6}};
  const PrefixTree tree = make_prefix_tree(inputs_of(texts, {3, 3, 3}), 8);
  ASSERT_EQ(tree.nodes.size(), 4u);  // the context, 4 tokens saved twice, and three endings
  EXPECT_EQ(tree.tokens, 4 + 2 + 1 + 2);
  EXPECT_EQ(tree.levels, 2);
  EXPECT_EQ(tree.slots, 3);
  EXPECT_EQ(tree.nodes[0].end, 4);
  EXPECT_EQ(tree.nodes[0].wanted_from, 3);  // the last token of the context predicts each choice's first
  EXPECT_EQ(tree.uses.size(), 3u + 5u);
}

TEST(PrefixTree, WhatSavesLittleIsNotShared) {
  const std::vector<std::vector<Token>> texts = {{1, 2, 3, 4, 9}, {1, 2, 3, 4, 8}};
  EXPECT_EQ(make_prefix_tree(inputs_of(texts, {3, 3}), 5).tokens, 10);
  EXPECT_EQ(make_prefix_tree(inputs_of(texts, {3, 3}), 4).tokens, 6);
}

TEST(PrefixTree, EqualInputsAreOneNode) {
  const std::vector<std::vector<Token>> texts = {{5, 6}, {5, 6}, {5, 6}};
  const PrefixTree tree = make_prefix_tree(inputs_of(texts, {1, 1, 0}), 100);
  EXPECT_EQ(tree.nodes.size(), 1u);
  EXPECT_EQ(tree.tokens, 2);
  EXPECT_EQ(tree.uses.size(), 4u);
}

// Random texts of two letters begin alike in every way.
TEST(PrefixTree, EveryInputIsRunOnceAndEveryWantedPositionIsUsedOnce) {
  Rng rng(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::vector<Token>> texts(std::size_t(1 + rng.below(12)));
    std::vector<dim> wanted;
    for (auto& text : texts) {
      text.resize(std::size_t(1 + rng.below(7)));
      for (Token& token : text) token = Token(rng.below(2));
      wanted.push_back(rng.below(dim(text.size())));
    }
    const PrefixTree tree = make_prefix_tree(inputs_of(texts, wanted), 1 + rng.below(4));
    std::vector<std::map<dim, dim>> node_at(texts.size());  // of each input: position, node
    std::vector<std::map<dim, int>> used(texts.size());
    for (const PrefixUse& use : tree.uses) {
      ++used[std::size_t(use.input)][use.position];
      const PrefixNode& node = tree.nodes[std::size_t(use.node)];
      EXPECT_GE(use.position, node.wanted_from);
      EXPECT_LT(use.position, node.end);
      // Up from the node, its tokens are the input's.
      dim end = use.position + 1;
      for (dim n = use.node; n >= 0; n = tree.nodes[std::size_t(n)].parent) {
        const PrefixNode& at = tree.nodes[std::size_t(n)];
        for (dim p = at.begin; p < std::min(end, at.end); ++p)
          EXPECT_EQ(texts[std::size_t(at.input)][std::size_t(p)], texts[std::size_t(use.input)][std::size_t(p)]);
        EXPECT_EQ(at.begin, at.parent < 0 ? 0 : tree.nodes[std::size_t(at.parent)].end);
        EXPECT_EQ(at.level, at.parent < 0 ? 0 : tree.nodes[std::size_t(at.parent)].level + 1);
        end = at.begin;
      }
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(dim(used[i].size()), dim(texts[i].size()) - wanted[i]);
      for (const auto& [position, times] : used[i]) EXPECT_EQ(times, 1) << position;
    }
    // At one level no slot is used twice.
    std::map<std::pair<dim, dim>, int> slots;
    for (const PrefixNode& node : tree.nodes) EXPECT_EQ(++slots[std::pair(node.level, node.slot)], 1);
  }
}

}  // namespace
}  // namespace pith
