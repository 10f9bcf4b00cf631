// Greedy answers to many prompts, several at a time.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "eval/likelihood/continuations.h"

namespace pith {

struct GreedyOptions {
  std::vector<std::string> until;  // an answer ends before any of these
  dim max_tokens = 256;
  bool ignore_end = false;  // the tokenizer's end tokens do not end an answer
};

struct GreedyText {
  std::string text;
  std::vector<Token> tokens;  // generated, without the end token
};

// Prompts that begin alike are run once up to where they part. done(first, last, answers): those prompts are answered.
using GreedyTexts = std::vector<GreedyText>;
using GreedyDone = std::function<void(dim first, dim last, std::span<GreedyText> answers)>;
GreedyTexts greedy_texts(Likelihoods& engine, std::span<const std::vector<Token>> prompts, const GreedyOptions& options,
                         const GreedyDone& done = {});

}  // namespace pith
