#include "train/result.h"

#include "core/error.h"
#include "formats/format.h"
#include "model/model_impl.h"
#include "train/grid_scales.h"

namespace pith {

static void use_values(Model::Impl& m, const std::vector<Parameter>& parameters) {
  for (const Parameter& p : parameters) {
    ModelTensor& t = m.tensors.at(p.tensor);
    if (p.kind == ParameterKind::scale) {  // the codes and all else as they were
      t.weight.data = m.scratch.keep(scaled_rows(t, p.values.as<float>()));
      continue;
    }
    PITH_CHECK(p.kind == ParameterKind::matrix || p.kind == ParameterKind::vector);
    Encoded view;
    view.format = &f32_format();
    view.rows = p.rows;
    view.cols = p.cols;
    view.data = p.values.data();
    t.weight = std::move(view);
    t.outliers.reset();
    t.sparse.reset();
  }
}

Model learned_model(const Model& base, const Trainable& trainable) {
  return Model::edited(base, [&trainable](Model::Impl& m) { use_values(m, trainable.parameters()); });
}

Model learned_model(const Model& base, std::vector<Parameter> values) {
  const auto kept = std::make_shared<const std::vector<Parameter>>(std::move(values));
  return Model::edited(base, [kept](Model::Impl& m) { use_values(m, *kept); });
}

std::vector<AdapterPart> learned_adapter(const Trainable& trainable) {
  std::vector<AdapterPart> parts;
  const auto& all = trainable.parameters();
  for (std::size_t i = 0; i < all.size();) {
    const Parameter &a = all[i++], &b = all.at(i++);
    PITH_CHECK(a.kind == ParameterKind::low_rank_a && b.kind == ParameterKind::low_rank_b);
    AdapterPart& part = parts.emplace_back();
    part.tensor = a.tensor;
    part.rank = a.rows;
    part.a.assign(a.values.as<float>(), a.values.as<float>() + a.size());
    part.b.assign(b.values.as<float>(), b.values.as<float>() + b.size());
    for (float& v : part.b) v *= trainable.low_rank_scale();
    if (i == all.size() || all[i].kind != ParameterKind::magnitude) continue;
    part.magnitudes.assign(all[i].values.as<float>(), all[i].values.as<float>() + all[i].size());
    ++i;
  }
  return parts;
}

}  // namespace pith
