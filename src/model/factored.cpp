#include "model/factored.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "formats/format.h"
#include "model/model_impl.h"
#include "model/open/tensor_table.h"

namespace pith {

namespace {

void set_values(ModelTensor& t, dim rows, dim cols, const std::byte* values) {
  t.weight.format = &f32_format();
  t.weight.rows = rows;
  t.weight.cols = cols;
  t.weight.data = values;
  t.shape = {rows, cols};
  t.outliers.reset();
  t.sparse.reset();
}

void split(Model::Impl& m, std::span<const Factors> factors) {
  std::vector<ModelTensor> out;
  auto next = factors.begin();
  for (std::size_t i = 0; i < m.tensors.size(); ++i) {
    ModelTensor& t = m.tensors[i];
    if (next == factors.end() || next->tensor != i) {
      out.push_back(std::move(t));
      continue;
    }
    ModelTensor inner;
    inner.name = name_of_inner(t.name);
    inner.role = t.role;
    inner.part = Part::inner;
    inner.layer = t.layer;
    inner.expert = t.expert;
    set_values(inner, next->rank, t.weight.cols, reinterpret_cast<const std::byte*>(next->inner));
    set_values(t, t.weight.rows, next->rank, reinterpret_cast<const std::byte*>(next->outer));
    out.push_back(std::move(inner));
    out.push_back(std::move(t));
    ++next;
  }
  PITH_CHECK(next == factors.end());
  m.tensors = std::move(out);
  m.notes.push_back(fmt::format("{} matrices are products of two thinner ones", factors.size()));
}

std::vector<float> values_of(const ModelTensor& t) {
  std::vector<float> out(std::size_t(t.weight.rows * t.weight.cols));
  for (dim r = 0; r < t.weight.rows; ++r) decode_row(t, r, out.data() + r * t.weight.cols);
  return out;
}

Buffer product(const ModelTensor& outer, const ModelTensor& inner) {
  const dim rows = outer.weight.rows, rank = outer.weight.cols, cols = inner.weight.cols;
  const std::vector<float> right = values_of(inner);
  Buffer out(rows * cols * dim(sizeof(float)));
  parallel_ranges(rows, 8, [&](dim begin, dim end) {
    std::vector<float> left(static_cast<std::size_t>(rank));
    std::vector<double> sum(static_cast<std::size_t>(cols));
    for (dim r = begin; r < end; ++r) {
      decode_row(outer, r, left.data());
      std::fill(sum.begin(), sum.end(), 0.0);
      for (dim k = 0; k < rank; ++k) {
        const double factor = double(left[std::size_t(k)]);
        const float* from = right.data() + k * cols;
        for (dim c = 0; c < cols; ++c) sum[std::size_t(c)] += factor * double(from[c]);
      }
      std::copy(sum.begin(), sum.end(), out.as<float>() + r * cols);
    }
  });
  return out;
}

void merge(Model::Impl& m) {
  for (ModelTensor& t : m.tensors) {
    const auto at = m.index.find({t.role, t.layer, Part::inner, t.expert});
    if (t.part != Part::weight || at == m.index.end()) continue;
    const ModelTensor& inner = m.tensors[at->second];
    const dim rows = t.weight.rows;
    set_values(t, rows, inner.weight.cols, m.scratch.keep(product(t, inner)));
  }
  std::erase_if(m.tensors, [](const ModelTensor& t) { return t.part == Part::inner; });
  m.notes.push_back("factors were multiplied out: only pith's own folders hold them");
}

}  // namespace

bool is_factored(const Model& model) {
  return std::any_of(model.tensors().begin(), model.tensors().end(),
                     [](const ModelTensor& t) { return t.part == Part::inner; });
}

std::string cannot_factor(const Model& model, const ModelTensor& t) {
  if (!is_linear_matrix(t) || t.layer < 0) return "it is no linear layer of a block";
  if (t.part == Part::inner || model.inner_of(t)) return "it is factored already";
  if (t.turn) return "it is stored between rotations";
  if (!std::string_view(t.name).ends_with(".weight")) return "its name does not end with .weight";
  return "";
}

Model factored_model(const Model& model, std::vector<Factors> factors, std::shared_ptr<const void> keeper) {
  for (const Factors& f : factors) {
    const ModelTensor& t = model.tensors()[f.tensor];
    if (const std::string why = cannot_factor(model, t); !why.empty())
      throw input_error(t.name, "expected a matrix that can be factored: {}", why);
    PITH_CHECK(1 <= f.rank && f.rank <= std::min(t.weight.rows, t.weight.cols));
  }
  std::sort(factors.begin(), factors.end(), [](const Factors& a, const Factors& b) { return a.tensor < b.tensor; });
  return Model::edited(
      model, [factors = std::move(factors), keeper = std::move(keeper)](Model::Impl& m) { split(m, factors); });
}

Model merged_model(const Model& model) { return Model::edited(model, merge); }

}  // namespace pith
