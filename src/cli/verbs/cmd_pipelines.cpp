#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "report/catalogue.h"

namespace pith::cli {

static void set_up(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  auto markdown = std::make_shared<bool>(false);
  auto* json_flag = app.add_flag("--json", *json, "machine-readable output");
  app.add_flag("--markdown", *markdown, "as a chapter for documents")->excludes(json_flag);
  app.callback([json, markdown] {
    print(*json ? report::pipelines_json() : *markdown ? report::pipelines_markdown() : report::pipelines_text());
  });
}

extern const Command pipelines_command;
const Command pipelines_command = {"pipelines", "the pipelines of `pith synthesize`, with their options and papers",
                                   "  pith pipelines\n  pith pipelines --json", set_up};

}  // namespace pith::cli
