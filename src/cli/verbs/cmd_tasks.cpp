#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "report/catalogue.h"

namespace pith::cli {

static void set_up(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  auto markdown = std::make_shared<bool>(false);
  auto* json_flag = app.add_flag("--json", *json, "machine-readable output");
  app.add_flag("--markdown", *markdown, "as a table for documents")->excludes(json_flag);
  app.callback([json, markdown] {
    print(*json ? report::tasks_json() : *markdown ? report::tasks_markdown() : report::tasks_text());
  });
}

extern const Command tasks_command;
const Command tasks_command = {"tasks", "the tasks that `pith eval --tasks` knows, how they are asked and scored",
                               "  pith tasks\n  pith tasks --json", set_up};

}  // namespace pith::cli
