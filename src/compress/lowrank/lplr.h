// Factors of low precision (LPLR, arXiv:2310.11028).
#pragma once
#include "compress/lowrank/weighted_low_rank.h"
#include "formats/format.h"

namespace pith {

// w (rows, cols) as B A: B is a random sketch of w's columns, rounded by `format`; A the least squares fit to w with
// that B, rounded by `format` as well. moment: of the inputs, which the sketch then favours; or null. Error(input)
// where ranks are no whole blocks of the format, or nothing finite comes of it.
LowRank low_precision_factors(const float* w, dim rows, dim cols, dim rank, const SecondMoment* moment,
                              const Format& format, std::uint64_t seed);

}  // namespace pith
