// Writing GPTQ checkpoints (gptq.cpp has the layout). Symmetric layers of 2, 4 and 8 bits go out as "gptq", which every
// reader knows. All others as "gptq_v2": a zero point of 0 has no safe place in "gptq", and GPTQModel reads three-bit
// zero points of "gptq" unlike others do.
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "model/exchange/grid_rows.h"
#include "model/exchange/layout.h"
#include "model/exchange/words.h"

namespace pith {

namespace {

std::string misfit(const Format& f, dim rows, dim cols) {
  const int bits = f.int_group.bits;
  if ((bits != 2 && bits != 3 && bits != 4 && bits != 8) || f.int_group.minimum)
    return "an int2, int3, int4 or int8 group format";
  if (!fits(f, cols)) return fmt::format("columns in multiples of {}", f.block);
  const dim whole = bits == 3 ? 32 : 32 / bits;
  if (rows % whole != 0 || cols % whole != 0) return fmt::format("rows and columns in multiples of {}", whole);
  return {};
}

std::vector<SafeTensor> parts(std::string_view base, const Format& f, dim rows, dim cols) {
  const Grid grid = grid_of(f, cols);
  const std::string name(base);
  const dim groups = cols / grid.group;
  return {stored_part(name + ".qweight", "I32", {cols * grid.bits / 32, rows}),
          stored_part(name + ".qzeros", "I32", {groups, rows * grid.bits / 32}),
          stored_part(name + ".scales", "F16", {groups, rows}), stored_part(name + ".g_idx", "I32", {cols})};
}

PackedParts pack(const Format& f, dim rows, dim cols, std::span<const std::byte> encoded, bool less_one) {
  const Grid grid = grid_of(f, cols);
  const dim groups = cols / grid.group, zero_words = rows * grid.bits / 32;
  PackedParts out;
  for (const SafeTensor& part : parts("", f, rows, cols)) out.emplace_back(std::size_t(part.size_bytes));
  auto* weight = numbers<std::uint32_t>(out[0]);
  auto* zero = numbers<std::uint32_t>(out[1]);
  auto* scale = numbers<std::uint16_t>(out[2]);
  for_grid_rows(f, rows, cols, encoded, 32, [&](dim r, const GridGroup* of_row, const std::uint8_t* codes) {
    for (dim c = 0; c < cols; ++c) put_bits(weight + r, rows, c, grid.bits, codes[c]);
    for (dim g = 0; g < groups; ++g) {
      scale[g * rows + r] = of_row[g].scale_bits;
      const int stored = of_row[g].zero - int(less_one);
      PITH_CHECK(stored >= 0);
      if (stored >= 1 << grid.bits)
        throw input_error("gptq", "expected zero points below 2^{}, got {}", grid.bits, of_row[g].zero);
      put_bits(zero + g * zero_words, 1, r, grid.bits, std::uint32_t(stored));
    }
  });
  for (dim c = 0; c < cols; ++c) numbers<std::int32_t>(out[3])[c] = std::int32_t(c / grid.group);
  return out;
}

PackedParts pack_stored(const Format& f, dim rows, dim cols, std::span<const std::byte> encoded) {
  return pack(f, rows, cols, encoded, false);
}
PackedParts pack_less_one(const Format& f, dim rows, dim cols, std::span<const std::byte> encoded) {
  return pack(f, rows, cols, encoded, true);
}

nlohmann::json settings(const Format& f) {
  return {{"bits", f.int_group.bits}, {"group_size", f.block == 0 ? -1 : f.block}, {"sym", f.int_group.symmetric}};
}

// A module's name as a regular expression that matches it alone.
std::string pattern(std::string_view sign, const std::string& module) {
  std::string out(sign);
  out += '^';
  for (const char c : module) out.append(c == '.' ? "\\." : std::string(1, c));
  return out + '$';
}

void describe(std::span<const LinearModule> modules, nlohmann::json& config, const char* checkpoint_format) {
  std::map<std::string_view, std::pair<dim, const Format*>> used;
  for (const LinearModule& m : modules)
    if (m.format) used[m.format->name] = {used[m.format->name].first + 1, m.format};
  PITH_CHECK(!used.empty());
  const Format* most = std::max_element(used.begin(), used.end(), [](const auto& a, const auto& b) {
                         return a.second.first < b.second.first;
                       })->second.second;
  nlohmann::json q = settings(*most), others;
  bool head = false;
  for (const LinearModule& m : modules) {
    if (m.name == "lm_head") {
      head = m.format != nullptr;
      if (!head) continue;  // as the readers take for granted
    }
    if (m.format != most)
      others[pattern(m.format ? "+:" : "-:", m.name)] = m.format ? settings(*m.format) : nlohmann::json::object();
  }
  q["quant_method"] = "gptq";
  q["checkpoint_format"] = checkpoint_format;
  q["desc_act"] = false;
  q["static_groups"] = false;
  q["true_sequential"] = false;
  q["damp_percent"] = 0.01;
  q["lm_head"] = head;
  if (!others.is_null()) q["dynamic"] = std::move(others);
  config["quantization_config"] = std::move(q);
}

void describe_stored(std::span<const LinearModule> modules, nlohmann::json& config) {
  describe(modules, config, "gptq_v2");
}
void describe_less_one(std::span<const LinearModule> modules, nlohmann::json& config) {
  describe(modules, config, "gptq");
}

constexpr Layout kStored{
    .name = "gptq", .misfit = misfit, .parts = parts, .pack = pack_stored, .describe = describe_stored};
constexpr Layout kLessOne{
    .name = "gptq", .misfit = misfit, .parts = parts, .pack = pack_less_one, .describe = describe_less_one};

}  // namespace

const Layout& gptq_layout(std::span<const Format* const> formats) {
  const bool portable = std::all_of(formats.begin(), formats.end(),
                                    [](const Format* f) { return f->int_group.symmetric && f->int_group.bits != 3; });
  return portable ? kLessOne : kStored;
}

}  // namespace pith
