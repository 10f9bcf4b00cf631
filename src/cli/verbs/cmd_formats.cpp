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
    print(*json ? report::formats_json() : *markdown ? report::formats_markdown() : report::formats_text());
  });
}

extern const Command formats_command;
const Command formats_command = {"formats", "the storage formats, with their bits per weight and who reads them",
                                 "  pith formats\n  pith formats --json", set_up};

}  // namespace pith::cli
