#include "train/losses/sorted_rows.h"

#include <array>
#include <bit>
#include <cmath>

#include "core/error.h"
#include "train/losses/row_sums.h"

namespace pith {

namespace {

// Memory of one thread.
struct Ranks {
  std::vector<std::uint64_t> keys, other;
  std::vector<float> p, q;
};

// Floats as unsigned numbers of the opposite order.
std::uint32_t falling(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return (bits & 0x80000000u) ? bits : ~bits & 0x7fffffffu;
}

// keys: x's places in falling order of x, lower places first among equals (radix sort, three digits of 11 bits).
void rank(const float* x, dim n, Ranks& r) {
  r.keys.resize(std::size_t(n));
  r.other.resize(std::size_t(n));
  for (dim i = 0; i < n; ++i) r.keys[std::size_t(i)] = std::uint64_t(falling(x[i])) << 32 | std::uint64_t(i);
  for (const int shift : {32, 43, 54}) {
    std::array<std::uint32_t, 2049> begin{};
    for (const std::uint64_t key : r.keys) ++begin[(key >> shift & 2047) + 1];
    for (std::size_t d = 0; d < 2048; ++d) begin[d + 1] += begin[d];
    for (const std::uint64_t key : r.keys) r.other[begin[key >> shift & 2047]++] = key;
    std::swap(r.keys, r.other);
  }
}

void softmax_of(const float* x, dim n, double temperature, std::vector<float>& p) {
  p.resize(std::size_t(n));
  log_softmax(x, n, temperature, p.data());
  for (float& v : p) v = std::exp(v);
}

}  // namespace

void check_sorted_loss(const SortedLoss& loss) {
  check_temperature(loss.temperature);
  if (!(loss.cross_entropy > 0 && loss.cross_entropy <= 1))
    throw Error(Blame::input, "cross-entropy",
                fmt::format("expected a share above 0 and up to 1 with uld, got {}", loss.cross_entropy),
                "probabilities by rank do not say which tokens they are of");
}

std::string describe_sorted_loss(const SortedLoss& loss) {
  const std::string at = loss.temperature == 1 ? "" : fmt::format(" at temperature {:g}", loss.temperature);
  return fmt::format("{:g} uld{} + {:g} cross_entropy", 1 - loss.cross_entropy, at, loss.cross_entropy);
}

double sorted_rows(const SortedLoss& loss, const DistillRows& rows, std::span<const float* const> teacher,
                   dim teacher_vocab) {
  const dim vocab = rows.vocab;
  const double t = loss.temperature, share = (1 - loss.cross_entropy) * t * t;
  return over_rows<Ranks>(rows.n, vocab + teacher_vocab, rows.weight, [&](dim i, Ranks& r) {
    float* z = rows.logits + i * vocab;
    const float* theirs = teacher[std::size_t(i)];
    if (theirs) {
      rank(theirs, teacher_vocab, r);
      softmax_of(theirs, teacher_vocab, t, r.q);
      r.p.assign(std::size_t(std::max(vocab, teacher_vocab)), 0);
      for (dim k = 0; k < teacher_vocab; ++k)
        r.p[std::size_t(k)] = r.q[std::size_t(r.keys[std::size_t(k)] & 0xffffffffu)];
      rank(z, vocab, r);
      softmax_of(z, vocab, t, r.q);
    }
    double value = loss.cross_entropy *
                   cross_entropy_row(z, vocab, rows.targets[std::size_t(i)], loss.cross_entropy * rows.weight, z);
    if (!theirs) return value;
    // By the probability of rank k the derivative is a sign; by logits, q_i (s_i - sum_j q_j s_j) / temperature.
    double sum = 0, mean = 0;
    for (dim k = 0; k < dim(r.p.size()); ++k) {
      const float q = k < vocab ? r.q[std::size_t(r.keys[std::size_t(k)] & 0xffffffffu)] : 0, p = r.p[std::size_t(k)];
      const float sign = q > p ? 1.0f : q < p ? -1.0f : 0.0f;
      sum += double(std::fabs(p - q));
      mean += double(q * sign);
      r.p[std::size_t(k)] = sign;
    }
    const auto factor = float(share * rows.weight / t), middle = float(mean);
    for (dim k = 0; k < vocab; ++k) {
      const auto v = std::size_t(r.keys[std::size_t(k)] & 0xffffffffu);
      z[v] += factor * r.q[v] * (r.p[std::size_t(k)] - middle);
    }
    return value + share * sum;
  });
}

}  // namespace pith
