#include "model/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace pith {

std::vector<float> llama3_freq_factors(const Rope& r) {
  const double context = double(r.original_context);
  std::vector<float> factors(static_cast<std::size_t>(r.dims / 2));
  for (dim i = 0; i < r.dims / 2; ++i) {
    const double wavelength = 2 * std::numbers::pi * std::pow(r.base, 2.0 * double(i) / double(r.dims));
    double factor = 1;
    if (wavelength > context / r.low_freq_factor) {
      factor = r.factor;
    } else if (wavelength >= context / r.high_freq_factor) {
      const double smooth = (context / wavelength - r.low_freq_factor) / (r.high_freq_factor - r.low_freq_factor);
      factor = 1 / ((1 - smooth) / r.factor + smooth);
    }
    factors[std::size_t(i)] = float(factor);
  }
  return factors;
}

double yarn_attn_factor(double factor) { return factor <= 1 ? 1.0 : 0.1 * std::log(factor) + 1.0; }

double longrope_attn_factor(double stretch, dim original) {
  if (original < 2 || !(stretch > 1)) return 1;
  return std::sqrt(1 + std::log(stretch) / std::log(double(original)));
}

Rope named_scaling(const Rope& rope) {
  const bool named_already = rope.scaling == RopeScaling::llama3 || rope.scaling == RopeScaling::longrope;
  if (rope.freq_factors.empty() || named_already) return rope;
  const auto& wanted = rope.freq_factors;
  Rope named = rope;
  named.freq_factors.clear();
  if (std::all_of(wanted.begin(), wanted.end(), [](float f) { return f == 1; })) return named;
  // Llama 3.1 to 3.3: the lowest frequency is divided by the whole factor (8 or 32).
  named.scaling = RopeScaling::llama3;
  named.factor = double(*std::max_element(wanted.begin(), wanted.end()));
  named.low_freq_factor = 1;
  named.high_freq_factor = 4;
  named.original_context = 8192;
  constexpr double kTolerance = 1e-4;  // files compute them in f32
  const auto made = llama3_freq_factors(named);
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (!(std::abs(double(made[i]) - double(wanted[i])) <= kTolerance * double(wanted[i])))
      throw Error(Blame::input, "rope_freqs.weight",
                  fmt::format("expected the factors of Llama 3's scaling, got {} for pair {}", wanted[i], i),
                  "config.json has no words for other factors; stay with GGUF");
  return named;
}

}  // namespace pith
