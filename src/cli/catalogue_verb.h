// Verbs that only list what the program knows.
#pragma once
#include <string>

#include "cli/command.h"

namespace pith::cli {

struct Catalogue {
  std::string (*text)();
  std::string (*json)();
  std::string (*markdown)();
  const char* markdown_help;
};

// --json and --markdown, and the callback that prints.
void offer_catalogue(CLI::App& app, const Catalogue& catalogue);

}  // namespace pith::cli
