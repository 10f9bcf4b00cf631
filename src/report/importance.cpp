#include "report/importance.h"

#include <fmt/format.h>

#include <numeric>

#include "report/json_values.h"

namespace pith::report {

namespace {

Json matrices_of(const ImatrixEntry& e) {
  Json inputs = Json::array(), means = Json::array();
  for (std::size_t m = 0; m < e.counts.size(); ++m) {
    const auto first = e.sums.begin() + dim(m) * e.cols;
    const double sum = std::accumulate(first, first + e.cols, 0.0);
    inputs.push_back(dim(e.counts[m]));
    means.push_back(e.counts[m] > 0 ? Json(sum / double(e.counts[m]) / double(e.cols)) : Json(nullptr));
  }
  return {{"name", e.name}, {"columns", e.cols}, {"inputs", std::move(inputs)}, {"mean_square", std::move(means)}};
}

}  // namespace

std::string importance_text(const MeasuredImportance& measured, const std::string& file) {
  const ImatrixContents& c = measured.contents;
  std::string out = fmt::format("{} tensors over {} tokens in {} pieces of {}\n", c.entries.size(), measured.tokens,
                                c.chunks, c.chunk_tokens);
  for (const std::string& note : measured.notes) out += note + "\n";
  return out + fmt::format("wrote {}\n", file);
}

std::string importance_json(const MeasuredImportance& measured, const std::string& file) {
  const ImatrixContents& c = measured.contents;
  Json tensors = Json::array();
  for (const ImatrixEntry& e : c.entries) tensors.push_back(matrices_of(e));
  return text_of({{"file", file},
                  {"datasets", c.datasets},
                  {"tokens", measured.tokens},
                  {"pieces", c.chunks},
                  {"piece_tokens", c.chunk_tokens},
                  {"notes", measured.notes},
                  {"tensors", std::move(tensors)}});
}

}  // namespace pith::report
