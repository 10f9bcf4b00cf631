#include <string>

#include "core/error.h"
#include "formats/format.h"

namespace pith {

#define PITH_FORMAT(name) extern const Format format_##name;
#include "formats/formats.def"
#undef PITH_FORMAT

static const Format* const kFormats[] = {
#define PITH_FORMAT(name) &format_##name,
#include "formats/formats.def"
#undef PITH_FORMAT
};

double bits_per_weight(const Format& f, dim cols) {
  return cols > 0 ? 8.0 * double(row_bytes(f, cols)) / double(cols) : 0;
}

bool fits(const Format& f, dim cols) { return f.block == 0 || cols % f.block == 0; }

std::span<const Format* const> all_formats() { return kFormats; }

static bool same_name(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; };
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

const Format* find_format(std::string_view name) {
  for (const Format* f : kFormats)
    if (same_name(f->name, name)) return f;
  return nullptr;
}

const Format& format_or_throw(std::string_view name) {
  if (const Format* f = find_format(name)) return *f;
  std::string names;
  for (const Format* f : kFormats) names.append(names.empty() ? "" : ", ").append(f->name);
  throw input_error("format", "expected one of {}; got '{}'", names, name);
}

const Format* format_of_gguf_type(int type) {
  for (const Format* f : kFormats)
    if (f->gguf_type == type && type >= 0) return f;
  return nullptr;
}

}  // namespace pith
