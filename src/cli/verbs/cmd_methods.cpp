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
    print(*json ? report::methods_json() : *markdown ? report::methods_markdown() : report::methods_text());
  });
}

extern const Command methods_command;
const Command methods_command = {"methods", "the compression methods, with their options and papers",
                                 "  pith methods\n  pith methods --json", set_up};

}  // namespace pith::cli
