// Objectives of which a teacher is part.
#pragma once
#include "train/layer_map.h"
#include "train/losses/distill_rows.h"
#include "train/losses/sorted_rows.h"
#include "train/teacher.h"

namespace pith {

struct BesideOptions {
  HiddenLoss hidden = {};  // states are compared as they are, so both models must have them of one size
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

}  // namespace pith
