// The Jinja language as chat templates use it, in the environment that Hugging Face's tokenizers give them: blocks
// trimmed, loop controls, generation blocks, tojson without escapes, raise_exception, strftime_now. Values are
// immutable but for namespaces, as in the sandbox there.
#pragma once
#include <ctime>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "core/base.h"

namespace pith::jinja {

// A template is untrusted: past one of these it is refused.
struct Limits {
  dim max_steps = 2'000'000;         // expressions, statements, items and characters looked at
  dim max_output_bytes = 16 << 20;   // of the text, and of any one string on the way
  dim max_memory_bytes = 128 << 20;  // of all values together
  dim max_template_bytes = 1 << 20;
  dim max_range = 100'000;
  int max_depth = 600;  // of nested calls and expressions, and of nested values
};

// variables: an object, the names that the template may use. now: local time for strftime_now.
// Error(input) with the template's line, also where the template itself raises an exception.
std::string render(std::string_view source, const nlohmann::ordered_json& variables, const std::tm& now,
                   const Limits& limits = {});

}  // namespace pith::jinja
