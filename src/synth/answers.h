// The final answer that a worked text comes to.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace pith::synth {

enum class AnswerKind { number, letter, text };
AnswerKind kind_of(std::string_view answer);

// "1,024", "$78.20", "-3", "50 %", "12." as a number.
std::optional<double> number_of(std::string_view text);

// What follows the last "####", "answer is" or "answer:", and of that the first number, or the first letter that stands
// alone, or the line. Where nothing is marked so: of numbers the last one, else nothing.
std::optional<std::string> final_answer(std::string_view text, AnswerKind kind);

// Numbers by value (to a millionth), letters without regard to case, texts as SQuAD normalizes them.
bool same_answer(std::string_view given, std::string_view gold);

}  // namespace pith::synth
