#include "report/study/record.h"

#include "core/error.h"

namespace pith::report {

const ModelRecord& reference_of(const Study& study) {
  PITH_CHECK(study.base || !study.models.empty());
  return study.base ? *study.base : study.models[0];
}

static double ratio(double a, double b) { return a > 0 && b > 0 ? a / b : 0; }

double compression_ratio(const Study& study, const ModelRecord& m) {
  return ratio(double(reference_of(study).size.file_bytes), double(m.size.file_bytes));
}

double prefill_speedup(const Study& study, const ModelRecord& m) {
  const auto& base = reference_of(study).speed;
  return base && m.speed ? ratio(m.speed->prefill, base->prefill) : 0;
}

double decode_speedup(const Study& study, const ModelRecord& m) {
  const auto& base = reference_of(study).speed;
  return base && m.speed ? ratio(m.speed->decode, base->decode) : 0;
}

std::optional<double> delta_perplexity(const Study& study, const ModelRecord& m) {
  const auto& base = reference_of(study).quality;
  if (!base || !m.quality) return {};
  return m.quality->perplexity.mean - base->perplexity.mean;
}

std::optional<Interval> quality_of(const ModelRecord& m) {
  if (!m.quality) return {};
  return m.quality->against_base ? m.quality->against_base->kl : m.quality->perplexity;
}

bool has_divergence(const Study& study) {
  for (const ModelRecord& m : study.models)
    if (m.quality && m.quality->against_base) return true;
  return false;
}

std::vector<const ModelRecord*> all_of(const Study& study) {
  std::vector<const ModelRecord*> all;
  if (study.base) all.push_back(&*study.base);
  for (const ModelRecord& m : study.models) all.push_back(&m);
  return all;
}

}  // namespace pith::report
