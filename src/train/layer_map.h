// Which block of a teacher each block of a student is to be like.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"
#include "train/losses/hidden_rows.h"

namespace pith {

struct LayerPair {
  dim student = 0, teacher = 0;  // from 0
};

struct HiddenLoss {
  double weight = 0;  // of the mean over pairs and predicted places, beside the divergence; 0: none
  HiddenKind kind = HiddenKind::cosine;
  std::vector<LayerPair> pairs = {};
};

// "uniform": student's block i like the teacher's (i + 1) * teacher / student - 1, so that the last is like the last;
// or "3:4,11:15". Error(input) where a block is not there, or a student's is named twice.
std::vector<LayerPair> layer_pairs(std::string_view text, dim student_layers, dim teacher_layers);
std::string describe_hidden(const HiddenLoss& loss);  // " + 0.5 hidden cosine of 3:4,11:15"; "" without weight

}  // namespace pith
