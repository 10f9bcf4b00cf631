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

std::span<const Task* const> all_tasks() { return kTasks; }

const Task* find_task(std::string_view name) {
  for (const Task* task : kTasks)
    if (task->name == name) return task;
  return nullptr;
}

}  // namespace pith
