// Runs of the pipeline in tests: in this process, or in a child that may be killed or measured.
#pragma once
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "compress/pipeline.h"
#include "core/error.h"
#include "core/parallel.h"
#include "tests/compress/generated_model.h"
#include "tests/shared_data.h"

namespace pith::test {

inline Recipe recipe_for(std::string_view format) {
  Recipe recipe;
  recipe.format = &format_or_throw(format);
  recipe.steps = steps_of("rtn", {"range=minmax"});
  return recipe;
}

inline Outcome run(const std::filesystem::path& source, const Recipe& recipe, const std::filesystem::path& target,
                   const RunLimits& limits = {}, Progress& progress = no_progress()) {
  const Model model = Model::open(source);
  return compress(model, recipe, target.extension() == ".gguf" ? Container::gguf : Container::hf, target, limits,
                  progress);
}

// body() in a forked child; its wait status. One thread: a forked child has lost the others.
template <class Body>
int in_child(const Body& body) {
  const pid_t child = fork();
  if (child == 0) {
    set_num_threads(1);
    try {
      body();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
      _exit(1);
    }
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

// The text of the Error that body throws; empty when it throws none.
template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

// The decoded values of a tensor of a GGUF file, row after row as stored.
inline std::vector<float> gguf_values(const GgufFile& file, std::string_view name) {
  const GgufTensor* t = file.find(name);
  if (!t) {
    ADD_FAILURE() << "no tensor " << name;
    return {};
  }
  const Format* f = format_of_gguf_type(t->type);
  const dim cols = t->shape[0];
  dim rows = 1;
  for (std::size_t i = 1; i < t->shape.size(); ++i) rows *= t->shape[i];
  std::vector<float> values(std::size_t(rows * cols));
  for (dim r = 0; r < rows; ++r) f->decode(*f, file.data(*t) + r * row_bytes(*f, cols), cols, values.data() + r * cols);
  return values;
}

inline std::string gguf_format(const GgufFile& file, std::string_view name) {
  const GgufTensor* t = file.find(name);
  return t ? std::string(format_of_gguf_type(t->type)->name) : "absent";
}

}  // namespace pith::test
