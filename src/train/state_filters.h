// Linear maps between a student's states and a teacher's that are learned on the way: a projection of the student's
// (FitNets, arXiv:1412.6550), or filters of both (TED, arXiv:2210.01351).
#pragma once
#include <deque>

#include "ops/linear_backward.h"
#include "train/layer_map.h"
#include "train/losses/hidden_rows.h"
#include "train/objective.h"
#include "train/teacher.h"

namespace pith {

class StateFilters {
 public:
  // choice.map is not none. Student's states are `from` wide, the teacher's `to`.
  StateFilters(const HiddenLoss& choice, dim from, dim to);

  // The first stage: each filter is trained so that what it makes of its model's states gives the text's next tokens
  // through the teacher's last norm and head; both models stay as they are. Returns the mean loss of the last step.
  double train(const Network& student, const Network& teacher, const TrainingData& data, Progress& progress);

  // x: (rows, from), teacher: (rows, to), of which those at `places` are compared. The sum of hidden_row after the
  // maps, each counting `weight`; adds to gradient, (rows, from), and to the gradient of the student's map.
  double part(std::size_t pair, std::span<const dim> places, const float* x, const float* teacher, double weight,
              float* gradient);
  std::span<Parameter> parameters() { return parameters_; }

 private:
  struct Map {
    Parameter* parameter = nullptr;
    Weight weight;  // views it
  };
  struct Stage;
  Map* of_student(std::size_t pair) { return &maps_[pair]; }
  Map* of_teacher(std::size_t pair) { return choice_.map == StateMap::filters ? &maps_[count_ + pair] : nullptr; }
  void next_token_step(Stage& stage, const MicroBatch& batch, Map& map, const float* states, dim width);

  HiddenLoss choice_;
  dim from_, to_;
  std::size_t count_;
  std::vector<Parameter> parameters_;  // the student's of each pair, then the teacher's
  std::deque<Map> maps_;
  Buffer x_, y_, t_, z_, dy_, dx_;
  LinearWorkspace linear_;
  LinearBackwardWorkspace backward_;
};

}  // namespace pith
