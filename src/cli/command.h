// A verb of the program. Each is one verbs/cmd_<verb>.cpp and one line in commands.def.
#pragma once
#include <string>

#include "core/byte_size.h"
#include "core/progress.h"

namespace CLI {
class App;
}

namespace pith {
class Group;
}

namespace pith::cli {

struct Command {
  const char* name;
  const char* summary;
  const char* examples;       // shown under the options
  void (*set_up)(CLI::App&);  // adds options and the callback that runs the verb
  bool shares = false;        // between the processes that mpirun starts; others refuse more than one
};

// Those that were started together; this process alone, unless join_processes came before. They print nothing and draw
// no progress but for the first.
Group& processes();
// Error where this verb does not run as several.
void join_processes(const Command& command);
// Ends all of them with this code where there are several.
int end_processes(int exit_code);

// A bar on standard error with the time still needed; silent when that is not a terminal.
Progress& terminal_progress();

// --threads, on every verb that computes.
void add_threads(CLI::App& app);

// --kv, how keys and values are stored; to be parsed by KvSpec.
void add_kv(CLI::App& app, std::string& text, const std::string& by_default);

// --activations, how linear layers round their inputs; to be parsed by ActSpec where it is not empty.
void add_activations(CLI::App& app, std::string& text, const std::string& by_default);

// --exact, for verbs that run a model for its answers.
void add_exact(CLI::App& app, bool& exact);

void print(const std::string& text);  // to standard output; Error(environment) when it is closed or full

}  // namespace pith::cli
