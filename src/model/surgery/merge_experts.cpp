#include "model/surgery/merge_experts.h"

#include <algorithm>

#include "core/parallel.h"
#include "formats/format.h"

namespace pith {

namespace {

void set_rows(Model::Impl& m, ModelTensor& t, Buffer values) {
  t.weight.format = &f32_format();
  t.weight.data = m.scratch.keep(std::move(values));
}

// Element or column of the average's neuron i is that of each part's neuron neurons[i].
void average(Model::Impl& m, dim layer, Role role, Part part, dim leader, const std::vector<ExpertShare>& shares) {
  auto* t = const_cast<ModelTensor*>(m.find(role, layer, part, leader));
  if (!t) return;
  const bool down = role == Role::expert_down, vector = part == Part::bias;
  const dim rows = t->weight.rows, cols = t->weight.cols;
  std::vector<const ModelTensor*> parts;
  for (const ExpertShare& s : shares) {
    parts.push_back(m.find(role, layer, part, s.expert));
    PITH_CHECK(parts.back() && parts.back()->weight.rows == rows && parts.back()->weight.cols == cols);
  }
  Buffer out(rows * cols * dim(sizeof(float)));
  parallel_ranges(rows, 8, [&](dim begin, dim end) {
    std::vector<float> row(static_cast<std::size_t>(cols));
    std::vector<double> sum(row.size());
    for (dim r = begin; r < end; ++r) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (std::size_t k = 0; k < shares.size(); ++k) {
        const std::vector<dim>& from = shares[k].neurons;
        decode_row(*parts[k], down || vector ? r : from[std::size_t(r)], row.data());
        for (std::size_t c = 0; c < sum.size(); ++c)
          sum[c] += shares[k].share * double(row[down != vector ? std::size_t(from[c]) : c]);
      }
      std::copy(sum.begin(), sum.end(), out.as<float>() + r * cols);
    }
  });
  set_rows(m, *t, std::move(out));
}

void replace_router_rows(Model::Impl& m, dim layer, const BlockCut& cut) {
  auto* t = const_cast<ModelTensor*>(m.find(Role::router, layer));
  PITH_CHECK(t && dim(cut.router.size()) == dim(cut.experts.size()) * t->weight.cols);
  Buffer out(t->weight.rows * t->weight.cols * dim(sizeof(float)));
  for (dim r = 0; r < t->weight.rows; ++r) decode_row(*t, r, out.as<float>() + r * t->weight.cols);
  for (std::size_t i = 0; i < cut.experts.size(); ++i)
    std::copy_n(cut.router.data() + dim(i) * t->weight.cols, t->weight.cols,
                out.as<float>() + cut.experts[i] * t->weight.cols);
  set_rows(m, *t, std::move(out));
}

}  // namespace

void merge_experts(Model::Impl& m, const Surgery& s) {
  for (std::size_t l = 0; l < s.blocks.size(); ++l) {
    const BlockCut& cut = s.blocks[l];
    const dim layer = s.layers[l];
    PITH_CHECK(cut.merged.empty() || cut.merged.size() == cut.experts.size());
    for (std::size_t i = 0; i < cut.merged.size(); ++i)
      for (const Role role : {Role::expert_gate, Role::expert_up, Role::expert_down})
        for (const Part part : {Part::weight, Part::bias})
          if (cut.merged[i].size() > 1) average(m, layer, role, part, cut.experts[i], cut.merged[i]);
    if (!cut.router.empty()) replace_router_rows(m, layer, cut);
  }
}

}  // namespace pith
