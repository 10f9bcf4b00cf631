// One question of a task, as text.
#pragma once
#include <string>
#include <vector>

#include "core/base.h"

namespace pith {

struct Document {
  std::string id;                   // the file's own; empty: its place there
  std::vector<std::string> groups;  // from the widest to the narrowest: {"stem", "anatomy"}
  std::string description;          // in front of the examples
  std::string context;
  std::vector<std::string> contexts;  // instead: one for each answer, all going on with choices[0]
  std::vector<std::string> choices;   // without what joins them to the context; of tasks without choices the one
                                      // continuation
  int gold = -1;                      // of the choices, or contexts
  std::vector<char> right;            // of each choice, where several are
  std::string solution;               // what follows the context in a solved example, where it is no choice
  std::vector<std::string> answers;   // to generated text: each would do
};

}  // namespace pith
