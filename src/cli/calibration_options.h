// --calibrate and what belongs to it, on verbs that do nothing without a text.
#pragma once
#include <CLI/CLI.hpp>

#include "compress/calibrate/calibration_text.h"

namespace pith::cli {

struct CalibrationOptions {
  std::vector<std::string> files;
  long long samples = 128, length = 512, seed = 0;

  CalibrationChoice choice() const {
    return {{files.begin(), files.end()}, dim(samples), dim(length), std::uint64_t(seed)};
  }
};

inline void add_calibration(CLI::App& app, CalibrationOptions& o, const std::string& what_text) {
  app.add_option("--calibrate", o.files, what_text);
  app.add_option("--calibrate-samples", o.samples, "pieces of the text")->capture_default_str();
  app.add_option("--calibrate-length", o.length, "tokens of a piece")->capture_default_str();
  app.add_option("--calibrate-seed", o.seed, "draws the pieces")->capture_default_str();
}

}  // namespace pith::cli
