// Options that several codecs share.
#pragma once
#include "ops/kv/kv_codec.h"

namespace pith {

inline OptionSpec bits_option() { return {"bits", "4", "of a code", {"2", "3", "4"}}; }
inline OptionSpec group_option(std::string_view by_default) {
  return {"group", by_default, "values that share a scale, along the head", {"32", "64", "128"}};
}
inline OptionSpec first_option(std::string_view by_default) {
  return {"first", by_default, "tokens at the start of a sequence that stay float16", {"0", "1", "2", "4", "8", "16"}};
}
inline dim whole(const Options& options, std::string_view name) { return dim(options.number(name)); }

}  // namespace pith
