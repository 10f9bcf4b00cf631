// Objectives of which a teacher is part.
#pragma once
#include "train/layer_map.h"
#include "train/losses/distill_rows.h"
#include "train/losses/policy_rows.h"
#include "train/losses/sorted_rows.h"
#include "train/teacher.h"

namespace pith {

struct BesideOptions {
  HiddenLoss hidden = {};  // without a map both models must have states of one size
  RelationLoss relations = {};
  AttentionLoss attention = {};  // both models must have the same number of heads, and windows where they are compared
  // The vocabularies differ, and one is part of the other: the teacher reads the student's tokens by their texts, and
  // distributions are over the tokens that both have.
  bool shared_tokens = false;
};

// Views the teacher, or the cache and the data it is of.
std::unique_ptr<Objective> distill_objective(const DistillLoss& loss, const Model& student, const Model& teacher,
                                             dim max_length, dim sequences, const BesideOptions& options = {});
std::unique_ptr<Objective> distill_objective(const DistillLoss& loss, const Model& student, const TeacherCache& cache,
                                             const TrainingData& data);

// Of a teacher with any vocabulary, which reads the same text by its own tokens (alignment.h); what it says counts at
// the places where both have read the same. Error(input) where there are none in the data.
std::unique_ptr<Objective> distill_by_text_objective(const SortedLoss& loss, const Model& student, const Model& teacher,
                                                     const TrainingData& data, dim sequences);

// Of answers that the student draws (TrainOptions::rollout), with the same share of the teacher; and the tokens of the
// data's own texts where a step learns from those.
std::unique_ptr<Objective> policy_objective(const PolicyLoss& loss, const Model& student, const Model& teacher,
                                            dim max_length, dim sequences);

}  // namespace pith
