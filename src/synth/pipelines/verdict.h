// A model as the judge of two answers.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace pith::synth {

std::string referee_prompt(const std::string& question, const std::string& first, const std::string& second);
// The first two numbers of the verdict, where both lie in 1 ... 10.
std::optional<std::pair<double, double>> scores_in(std::string_view verdict);

}  // namespace pith::synth
