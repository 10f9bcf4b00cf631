// The program: finds the verb, runs it, and turns what was thrown into a message and an exit code.
//   0 done; 1 the input or the machine is at fault; 2 the command line is; 70 we are
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/command.h"
#include "core/error.h"
#include "core/group.h"

namespace pith::cli {
#define PITH_COMMAND(verb) extern const Command verb##_command;
#include "cli/commands.def"
#undef PITH_COMMAND
}  // namespace pith::cli

namespace {

using namespace pith::cli;

constexpr const Command* kCommands[] = {
#define PITH_COMMAND(verb) &verb##_command,
#include "cli/commands.def"
#undef PITH_COMMAND
};

int run(int argc, char** argv) {
  CLI::App app("pith compresses large language models and shows what was lost.", "pith");
  app.set_version_flag("--version", "pith " PITH_VERSION);
  app.require_subcommand(1);
  app.footer("Start with:  pith inspect MODEL   then   pith quantize MODEL --format q4_0 --text FILE");
  for (const Command* command : kCommands) {
    CLI::App* verb = app.add_subcommand(command->name, command->summary);
    verb->footer(std::string("Examples:\n") + command->examples);
    command->set_up(*verb);
    verb->preparse_callback([command](std::size_t) { join_processes(*command); });
  }
  try {
    app.parse(argc, argv);  // the chosen verb runs as its callback
  } catch (const CLI::ParseError& e) {
    if (pith::launch().rank > 0 && e.get_exit_code() == 0) return 0;  // the first says what was asked for
    return app.exit(e) == 0 ? 0 : 2;
  }
  return 0;
}

int fail(int code, const char* what, const char* detail = "") {
  terminal_progress().end();
  const pith::Launch launched = pith::launch();
  const std::string who = launched.size > 1 ? fmt::format("rank {} of {}: ", launched.rank, launched.size) : "";
  std::fprintf(stderr, "pith: %s%s%s\n", who.c_str(), what, detail);
  return end_processes(code);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const int code = run(argc, argv);
    end_processes(0);  // what was wrong with the command line is known to all
    return code;
  } catch (const pith::Error& e) {
    return fail(1, e.what());
  } catch (const std::bad_alloc&) {
    return fail(1, "out of memory");
  } catch (const std::exception& e) {
    return fail(70, "internal error, please report it: ", e.what());
  }
}
