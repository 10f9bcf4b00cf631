// How tokens relate to each other inside a block, against a teacher's (MiniLMv2, arXiv:2012.15828).
#pragma once
#include <span>

#include "core/base.h"

namespace pith {

// Queries, keys or values of sequences one after another, cut into `heads` equal parts, which need not be those of
// attention. In each part, A being its rows of a sequence, the relation of token i to those before and to itself is
// softmax(A_i A^T / sqrt(width of a part)).
struct RelationRows {
  const float* x = nullptr;                     // (rows, width)
  const float* teacher = nullptr;               // (rows, teacher_width)
  dim width = 0, teacher_width = 0, heads = 1;  // heads divides both
  std::span<const dim> lengths;
  float* gradient = nullptr;  // (rows, width), added to
};
// weight times the mean over tokens and parts of KL(teacher's relation, student's).
double relation_loss(const RelationRows& rows, double weight);

}  // namespace pith
