// How the inputs of linear layers are rounded at run time: the codecs of act_codecs.def, each one file of this folder.
#pragma once
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base.h"
#include "core/options.h"

namespace pith {

// Rows of x (one token each) become scale * code. Where the weight's values lie on a grid of integers, too
// (formats/grid.h), codes are multiplied with codes (ops/integer_product.h); else the rounded values are multiplied.
// A row's result depends on that row alone.
struct ActPlan {
  enum class Codes { none, integer, e4m3 };
  Codes codes = Codes::none;
  int bits = 8;        // of an integer code: -2^(bits-1) to 2^(bits-1) - 1
  float clip = 1;      // share of a token's largest value that gets the largest code
  bool fixed = false;  // the scale is the linear layer's own (Linear::act_scale); else each token's
  float outlier = std::numeric_limits<float>::infinity();  // values at least this large stay as they are

  bool on() const { return codes != Codes::none; }
  float top() const { return codes == Codes::e4m3 ? 448.0f : float((1 << (bits - 1)) - 1); }  // the largest code
};

struct ActCodec {
  std::string_view name;
  std::string_view summary;  // one line
  std::string_view paper;    // where it comes from
  std::vector<OptionSpec> options;
  ActPlan (*plan)(const Options& options);
};

std::span<const ActCodec* const> all_act_codecs();  // in the order of act_codecs.def

// A codec with its options, from "name" or "name:option=value,option=value". By default f32: inputs as they are.
class ActSpec {
 public:
  ActSpec() : ActSpec("f32") {}
  explicit ActSpec(std::string_view text);  // Error(input) that lists what there is
  const ActCodec& codec() const { return *codec_; }
  const ActPlan& plan() const { return plan_; }
  const std::string& text() const { return text_; }  // with the options that were given

 private:
  const ActCodec* codec_;
  ActPlan plan_;
  std::string text_;
};

}  // namespace pith
