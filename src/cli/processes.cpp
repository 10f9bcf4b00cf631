#include <memory>

#include "cli/command.h"
#include "core/error.h"
#include "core/group.h"

namespace pith::cli {

namespace {

std::unique_ptr<Group>& joined() {
  static std::unique_ptr<Group> group;
  return group;
}

}  // namespace

Group& processes() { return joined() ? *joined() : one_process(); }

void join_processes(const Command& command) {
  const Launch launched = launch();
  if (launched.size == 1) return;
  if (!command.shares)
    throw Error(Blame::input, command.name, fmt::format("expected one process, mpirun started {}", launched.size),
                "finetune, distill, imatrix, quantize and prune share work between processes");
  joined() = join_group();
}

int end_processes(int exit_code) {
  if (joined() && exit_code != 0) abort_group(exit_code);
  joined().reset();
  return exit_code;
}

}  // namespace pith::cli
