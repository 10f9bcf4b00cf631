#include "cli/catalogue_verb.h"
#include "report/catalogue.h"

namespace pith::cli {

static void set_up(CLI::App& app) {
  offer_catalogue(app, {report::tasks_text, report::tasks_json, report::tasks_markdown, "as a table for documents"});
}

extern const Command tasks_command;
const Command tasks_command = {"tasks", "the tasks that `pith eval --tasks` knows, how they are asked and scored",
                               "  pith tasks\n  pith tasks --json", set_up};

}  // namespace pith::cli
