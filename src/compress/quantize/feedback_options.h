// The options that methods with error feedback share.
#pragma once
#include "compress/quantize/error_feedback.h"

namespace pith {

OptionSpec damping_option();
OptionSpec act_order_option();
OptionSpec polish_option();
FeedbackOptions feedback_choice(const Options& options, const Format& format);

// Method::prepare and Method::layer of methods that are error feedback with these options and those of the range, then
// polish, and nothing else.
std::unique_ptr<LayerState> prepare_feedback(const InputStats& stats, const Format& format, const Options& options);
void feedback_layer(const LayerTask& task, const Options& options);

}  // namespace pith
