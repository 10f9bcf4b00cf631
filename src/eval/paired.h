// Is one model better than another? Paired tests on the same windows.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/base.h"

namespace pith {

struct PairedTest {
  double difference = 0;     // mean per token of first - second
  double low = 0, high = 0;  // 95 % interval: percentiles of the bootstrap over windows (Efron 1979)
  // Two-sided, that the windows' differences are as likely to have the other sign (Fisher's randomization test): all
  // 2^W signs up to 12 windows, else as many drawn as the bootstrap has samples, the observed ones among them.
  double p_value = 1;
  dim windows = 0;
};

// differences: of each window, summed over its tokens; tokens: how many. With fewer than two windows nothing can be
// said: the interval is the line of all numbers (-inf, inf), p is 1. The same seed gives the same numbers.
PairedTest paired_test(std::span<const double> differences, std::span<const dim> tokens, std::uint64_t seed,
                       dim samples = 10000);

// p-values of several tests, each made larger so that the chance of one false finding among all stays what it says
// (Holm 1979). In the given order.
std::vector<double> holm_adjusted(std::span<const double> p_values);

}  // namespace pith
