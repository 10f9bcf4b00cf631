#include "eval/tasks/task.h"

namespace pith {

#define PITH_TASK(name) extern const Task name##_task;
#include "eval/tasks/tasks.def"
#undef PITH_TASK

static constexpr const Task* kTasks[] = {
#define PITH_TASK(name) &name##_task,
#include "eval/tasks/tasks.def"
#undef PITH_TASK
};

std::string_view output_type_name(OutputType type) {
  switch (type) {
    case OutputType::choices:
      return "multiple_choice";
    case OutputType::continuation:
      return "loglikelihood";
    case OutputType::generation:
      return "generate_until";
  }
  return {};
}

std::span<const Task* const> all_tasks() { return kTasks; }

const Task* find_task(std::string_view name) {
  for (const Task* task : kTasks)
    if (task->name == name) return task;
  return nullptr;
}

}  // namespace pith
