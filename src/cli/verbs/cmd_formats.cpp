#include "cli/catalogue_verb.h"
#include "report/catalogue.h"

namespace pith::cli {

static void set_up(CLI::App& app) {
  offer_catalogue(app,
                  {report::formats_text, report::formats_json, report::formats_markdown, "as a table for documents"});
}

extern const Command formats_command;
const Command formats_command = {"formats", "the storage formats, with their bits per weight and who reads them",
                                 "  pith formats\n  pith formats --json", set_up};

}  // namespace pith::cli
