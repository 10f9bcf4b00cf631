#include "ops/act/act_codec.h"

#include <fmt/format.h>

#include "core/error.h"

namespace pith {

#define PITH_ACT_CODEC(name) extern const ActCodec name##_act_codec;
#include "ops/act/act_codecs.def"
#undef PITH_ACT_CODEC

static constexpr const ActCodec* kCodecs[] = {
#define PITH_ACT_CODEC(name) &name##_act_codec,
#include "ops/act/act_codecs.def"
#undef PITH_ACT_CODEC
};

std::span<const ActCodec* const> all_act_codecs() { return kCodecs; }

static const ActCodec& codec_or_throw(std::string_view name) {
  std::vector<std::string_view> names;
  for (const ActCodec* codec : kCodecs) {
    if (codec->name == name) return *codec;
    names.push_back(codec->name);
  }
  throw input_error("activations", "expected one of {}, got '{}'", fmt::join(names, ", "), name);
}

ActSpec::ActSpec(std::string_view text) : text_(text) {
  const NamedOptions named = named_options(text);
  codec_ = &codec_or_throw(named.name);
  plan_ = codec_->plan(Options("activations " + named.name, codec_->options, named.given));
}

}  // namespace pith
