#include "ops/kv/kv_codec.h"

#include <fmt/format.h>

#include "core/error.h"

namespace pith {

#define PITH_KV_CODEC(name) extern const KvCodec name##_kv_codec;
#include "ops/kv/kv_codecs.def"
#undef PITH_KV_CODEC

static constexpr const KvCodec* kCodecs[] = {
#define PITH_KV_CODEC(name) &name##_kv_codec,
#include "ops/kv/kv_codecs.def"
#undef PITH_KV_CODEC
};

std::span<const KvCodec* const> all_kv_codecs() { return kCodecs; }

namespace {

const KvCodec& codec_or_throw(std::string_view name) {
  std::vector<std::string_view> names;
  for (const KvCodec* codec : kCodecs) {
    if (codec->name == name) return *codec;
    names.push_back(codec->name);
  }
  throw input_error("kv", "expected one of {}, got '{}'", fmt::join(names, ", "), name);
}

}  // namespace

KvSpec::KvSpec(std::string_view text) : text_(text) {
  const NamedOptions named = named_options(text);
  codec_ = &codec_or_throw(named.name);
  options_ = Options("kv " + named.name, codec_->options, named.given);
  constexpr dim kUsualHead = 128;  // whether the options go together does not depend on it
  codec_->plan(options_, kUsualHead);
}

}  // namespace pith
