#include "cli/catalogue_verb.h"
#include "report/catalogue.h"

namespace pith::cli {

static void set_up(CLI::App& app) {
  offer_catalogue(
      app, {report::pipelines_text, report::pipelines_json, report::pipelines_markdown, "as a chapter for documents"});
}

extern const Command pipelines_command;
const Command pipelines_command = {"pipelines", "the pipelines of `pith synthesize`, with their options and papers",
                                   "  pith pipelines\n  pith pipelines --json", set_up};

}  // namespace pith::cli
