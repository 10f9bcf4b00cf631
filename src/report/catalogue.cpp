#include "report/catalogue.h"

#include <fmt/format.h>

#include "compress/method.h"
#include "compress/recipe_file.h"
#include "ops/act/act_codec.h"
#include "ops/kv/kv_codec.h"
#include "report/json_values.h"
#include "report/table.h"
#include "synth/pipeline.h"

namespace pith::report {
namespace {

constexpr dim kUsualRow = 4096;  // bits per weight of formats whose block is the row are those of such a row

std::string block_of(const Format& format) { return format.block > 0 ? fmt::format("{}", format.block) : "row"; }

double bits_of(const Format& format) {
  const dim cols = format.block > 0 ? format.block : kUsualRow;
  return bits_per_weight(format, cols);
}

Table format_table() {
  Table table;
  table.columns = {{"format", false}, {"bits", true}, {"block", true}, {"falls back to", false}, {"", false}};
  for (const Format* f : all_formats())
    table.rows.push_back({std::string(f->name), fmt::format("{:.4g}", bits_of(*f)), block_of(*f),
                          std::string(f->fallback), std::string(f->summary)});
  return table;
}

std::string allowed(const OptionSpec& option) {
  if (option.fault) return option.fault("\n");
  if (option.choices.empty()) return fmt::format("{:g} to {:g}", option.low, option.high);
  return fmt::format("{}", fmt::join(option.choices, ", "));
}

Table option_table(const std::vector<OptionSpec>& options) {
  Table table;
  table.columns = {{"option", false}, {"default", false}, {"allowed", false}, {"", false}};
  for (const OptionSpec& o : options)
    table.rows.push_back({std::string(o.name), std::string(o.default_value), allowed(o), std::string(o.help)});
  return table;
}

bool needs_data(const Method& m) { return m.needs != Needs::nothing || m.fisher; }

std::string_view needs_of(const Method& m) {
  return needs_data(m) ? "a calibration text" : "nothing; takes importance where it is given";
}

Json json_of(const OptionSpec& o) {
  Json value = {{"name", o.name}, {"default", o.default_value}, {"help", o.help}};
  if (o.fault) {
    value["text"] = allowed(o);
  } else if (o.choices.empty()) {
    value["low"] = o.low;
    value["high"] = o.high;
  } else {
    value["choices"] = o.choices;
  }
  return value;
}

Json json_of(const std::vector<OptionSpec>& options) {
  Json list = Json::array();
  for (const OptionSpec& option : options) list.push_back(json_of(option));
  return list;
}

// Of keys and values in long sequences with heads of 128 and the codec's own choices.
double bits_of(const KvCodec& codec) { return KvSpec(codec.name).plan(128).bits_per_value(); }

constexpr std::string_view kKvFamily = "kv cache", kActFamily = "activations";

std::string needs_of(const synth::Pipeline& p) {
  std::string needs = p.answers ? "questions with answers" : "questions";
  if (p.student) needs += ", a student";
  if (p.local) needs += ", a teacher that is a model file";
  return needs;
}

}  // namespace

std::string formats_text() { return text_table(format_table()); }
std::string formats_markdown() { return markdown_table(format_table()); }

std::string formats_json() {
  Json formats = Json::array();
  for (const Format* f : all_formats())
    formats.push_back({{"name", f->name},
                       {"summary", f->summary},
                       {"bits_per_weight", bits_of(*f)},
                       {"block", f->block},
                       {"fallback", f->fallback},
                       {"gguf_type", f->gguf_type >= 0 ? Json(f->gguf_type) : Json(nullptr)},
                       {"integer_group_bits", f->int_group.bits}});
  return text_of(formats);
}

std::string methods_text() {
  std::string out;
  for (const Method* m : all_methods()) {
    if (!out.empty()) out += '\n';
    out += fmt::format("{} ({}): {}\n{}\n", m->name, m->family, m->summary, m->paper);
    if (!m->options.empty()) out += text_table(option_table(m->options));
  }
  for (const KvCodec* c : all_kv_codecs()) {
    out +=
        fmt::format("\n{} ({}): {}; {:.4g} bits a value\n{}\n", c->name, kKvFamily, c->summary, bits_of(*c), c->paper);
    if (!c->options.empty()) out += text_table(option_table(c->options));
  }
  for (const ActCodec* c : all_act_codecs()) {
    out += fmt::format("\n{} ({}): {}\n{}\n", c->name, kActFamily, c->summary, c->paper);
    if (!c->options.empty()) out += text_table(option_table(c->options));
  }
  return out;
}

std::string methods_markdown() {
  std::string out;
  for (const Method* m : all_methods()) {
    if (!out.empty()) out += '\n';
    out += fmt::format("## {}\n\n{} ({}).\n\n- From: {}.\n- Needs: {}.\n", m->name, m->summary, m->family, m->paper,
                       needs_of(*m));
    if (m->prepares())
      out += fmt::format("- Prepares the model: other methods can follow it, `--method {}+...`.\n", m->name);
    if (m->block)
      out += fmt::format(
          "- Works on whole blocks after they were rounded, by rtn or by what stands before the +: "
          "`--method ...+{}`.\n",
          m->name);
    if (!m->options.empty()) out += '\n' + markdown_table(option_table(m->options));
  }
  for (const KvCodec* c : all_kv_codecs()) {
    out += fmt::format("\n## {}\n\n{} ({}).\n\n- From: {}.\n- Bits a value: {:.4g}.\n", c->name, c->summary, kKvFamily,
                       c->paper, bits_of(*c));
    if (!c->options.empty()) out += '\n' + markdown_table(option_table(c->options));
  }
  for (const ActCodec* c : all_act_codecs()) {
    out += fmt::format("\n## {}\n\n{} ({}).\n\n- From: {}.\n", c->name, c->summary, kActFamily, c->paper);
    if (!c->options.empty()) out += '\n' + markdown_table(option_table(c->options));
  }
  return out;
}

std::string methods_json() {
  Json methods = Json::array();
  for (const Method* m : all_methods()) {
    methods.push_back({{"name", m->name},
                       {"family", m->family},
                       {"summary", m->summary},
                       {"paper", m->paper},
                       {"needs_calibration", needs_data(*m)},
                       {"scales", m->scale != nullptr},
                       {"works_on_blocks", m->block != nullptr},
                       {"reshapes", m->reshape != nullptr},
                       {"options", json_of(m->options)}});
  }
  for (const KvCodec* c : all_kv_codecs())
    methods.push_back({{"name", c->name},
                       {"family", kKvFamily},
                       {"summary", c->summary},
                       {"paper", c->paper},
                       {"bits_per_value", bits_of(*c)},
                       {"options", json_of(c->options)}});
  for (const ActCodec* c : all_act_codecs())
    methods.push_back({{"name", c->name},
                       {"family", kActFamily},
                       {"summary", c->summary},
                       {"paper", c->paper},
                       {"options", json_of(c->options)}});
  return text_of(methods);
}

std::string recipes_text() {
  Table table;
  table.columns = {{"recipe", false}, {"", false}};
  for (const Preset& p : all_presets())
    table.rows.push_back({std::string(p.name), open_recipe(std::string(p.name)).summary});
  return text_table(table);
}

std::string recipes_json() {
  Json recipes = Json::array();
  for (const Preset& p : all_presets())
    recipes.push_back({{"name", p.name}, {"summary", open_recipe(std::string(p.name)).summary}, {"yaml", p.yaml}});
  return text_of(recipes);
}

std::string pipelines_text() {
  std::string out;
  for (const synth::Pipeline* p : synth::pipelines()) {
    if (!out.empty()) out += '\n';
    out += fmt::format("{}: {}\n{}\n", p->name, p->summary, p->paper);
    if (!p->options.empty()) out += text_table(option_table(p->options));
  }
  return out;
}

std::string pipelines_markdown() {
  std::string out;
  for (const synth::Pipeline* p : synth::pipelines()) {
    if (!out.empty()) out += '\n';
    out += fmt::format("## {}\n\n{}.\n\n- From: {}.\n- Needs: {}.\n", p->name, p->summary, p->paper, needs_of(*p));
    if (!p->options.empty()) out += '\n' + markdown_table(option_table(p->options));
  }
  return out;
}

std::string pipelines_json() {
  Json pipelines = Json::array();
  for (const synth::Pipeline* p : synth::pipelines())
    pipelines.push_back({{"name", p->name},
                         {"summary", p->summary},
                         {"paper", p->paper},
                         {"needs_answers", p->answers},
                         {"needs_student", p->student},
                         {"needs_model_file", p->local},
                         {"options", json_of(p->options)}});
  return text_of(pipelines);
}

std::string recipe_yaml(std::string_view preset) { return std::string(preset_or_throw(preset).yaml); }

}  // namespace pith::report
