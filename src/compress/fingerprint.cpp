#include "compress/fingerprint.h"

#include <fstream>
#include <vector>

#include "core/error.h"
#include "io/sha256.h"

namespace pith {

namespace {

void add_number(Sha256& sha, dim n) { sha.update(std::as_bytes(std::span(&n, 1))); }

// Each with its length, so that no two lists of texts are the same bytes.
void add_text(Sha256& sha, std::string_view text) {
  add_number(sha, dim(text.size()));
  sha.update(text);
}

void add_options(Sha256& sha, const Options& options) {
  for (const auto& [name, value] : options.all()) {
    add_text(sha, name);
    add_text(sha, value);
  }
}

void add_recipe(Sha256& sha, const Recipe& recipe, const Prepared& prepared) {
  for (const auto* steps : {&prepared.rounders, &prepared.finishers}) {  // those that scale are among the rounders
    for (const MethodStep& step : *steps) {
      add_text(sha, step.method->name);
      add_options(sha, step.options);
      add_text(sha, selection_text(step.where));
    }
    add_number(sha, dim(steps->size()));
  }
  add_number(sha, recipe.dither.on);
  add_number(sha, dim(recipe.dither.seed));
  if (prepared.adapter) add_text(sha, sha256_of_files(prepared.adapter->files()));
  if (recipe.importance_file) add_text(sha, sha256_of_files(std::span(&*recipe.importance_file, 1)));
  for (const Step& step : recipe.steps) {
    const Method& method = method_or_throw(step.method);
    if (!method.reshape) continue;
    add_text(sha, step.method);
    add_options(sha, Options(method.name, method.options, step.options));
  }
  const auto& calibration = prepared.calibration ? prepared.calibration : recipe.calibration;
  if (!calibration) return;
  const CalibrationChoice& c = *calibration;
  add_text(sha, sha256_of_files(c.files));
  for (const dim n : {c.samples, c.length, dim(c.seed), dim(recipe.compressed_prefix), dim(recipe.true_sequential)})
    add_number(sha, n);
}

void add_plan(Sha256& sha, const ExportPlan& plan) {
  for (const ExportFile& file : plan.files) {
    add_text(sha, file.name);
    add_text(sha, file.head);
    add_number(sha, file.total_bytes);
  }
  for (const SideFile& file : plan.side_files) {
    add_text(sha, file.name);
    add_text(sha, file.text);
  }
  for (const ExportTensor& t : plan.tensors) {
    add_number(sha, dim(t.source));
    add_text(sha, t.format->name);
    sha.update(std::as_bytes(std::span(&t.add, 1)));
    add_number(sha, t.transpose);
    add_number(sha, dim(t.rows_from.size()));
    sha.update(std::as_bytes(std::span(t.rows_from)));
    add_number(sha, t.outliers.per_row);
    add_number(sha, t.outliers.whole_columns);
    add_number(sha, t.sparse ? t.sparse->kept : -1);
    add_number(sha, t.sparse ? int(t.sparse->layout) : -1);
    add_number(sha, t.turn ? dim(t.turn->seed()) : -1);
    add_number(sha, t.turn && t.turn->outputs());
    t.for_slots([&](const Slot& slot) {
      add_text(sha, slot.name);
      add_number(sha, dim(slot.file));
      add_number(sha, slot.offset_bytes);
      add_number(sha, slot.size_bytes);
    });
  }
}

}  // namespace

std::string sha256_of_files(std::span<const std::filesystem::path> files) {
  Sha256 sha;
  std::vector<char> chunk(std::size_t(1) << 20);
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw environment_error(file.string(), "expected a readable file");
    while (in.read(chunk.data(), std::streamsize(chunk.size())) || in.gcount() > 0)
      sha.update(std::string_view(chunk.data(), std::size_t(in.gcount())));
    if (in.bad()) throw environment_error(file.string(), "reading failed");
  }
  return sha.hex();
}

std::string fingerprint(const std::string& source_stamp, const Recipe& recipe, const Prepared& prepared) {
  Sha256 sha;
  add_text(sha, PITH_VERSION);
  add_text(sha, source_stamp);
  add_recipe(sha, recipe, prepared);
  add_plan(sha, prepared.plan);
  return sha.hex();
}

}  // namespace pith
