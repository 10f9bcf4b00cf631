#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "report/catalogue.h"

namespace pith::cli {

static void set_up(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  auto* one = app.add_option("preset", *name, "show the text of this one, to start a recipe of your own from");
  app.add_flag("--json", *json, "machine-readable output")->excludes(one);
  app.callback([name, json] {
    print(!name->empty() ? report::recipe_yaml(*name) : *json ? report::recipes_json() : report::recipes_text());
  });
}

extern const Command recipes_command;
const Command recipes_command = {"recipes", "the recipes that come with the program, for quantize --recipe",
                                 "  pith recipes\n  pith recipes w4-best > my.yaml", set_up};

}  // namespace pith::cli
