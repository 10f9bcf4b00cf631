// The options that methods with error feedback share.
#pragma once
#include "compress/quantize/error_feedback.h"

namespace pith {

OptionSpec damping_option();
OptionSpec act_order_option();
OptionSpec polish_option();
FeedbackOptions feedback_choice(const Options& options, const Format& format);

}  // namespace pith
