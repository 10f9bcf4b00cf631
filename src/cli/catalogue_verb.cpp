#include "cli/catalogue_verb.h"

#include <CLI/CLI.hpp>
#include <memory>

namespace pith::cli {

void offer_catalogue(CLI::App& app, const Catalogue& catalogue) {
  auto json = std::make_shared<bool>(false);
  auto markdown = std::make_shared<bool>(false);
  auto* json_flag = app.add_flag("--json", *json, "machine-readable output");
  app.add_flag("--markdown", *markdown, catalogue.markdown_help)->excludes(json_flag);
  app.callback([json, markdown, catalogue] {
    print(*json ? catalogue.json() : *markdown ? catalogue.markdown() : catalogue.text());
  });
}

}  // namespace pith::cli
