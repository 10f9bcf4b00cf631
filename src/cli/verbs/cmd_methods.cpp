#include "cli/catalogue_verb.h"
#include "report/catalogue.h"

namespace pith::cli {

static void set_up(CLI::App& app) {
  offer_catalogue(app,
                  {report::methods_text, report::methods_json, report::methods_markdown, "as a chapter for documents"});
}

extern const Command methods_command;
const Command methods_command = {"methods", "the compression methods, with their options and papers",
                                 "  pith methods\n  pith methods --json", set_up};

}  // namespace pith::cli
