#include "report/inspect.h"

#include <fmt/format.h>

#include "report/human.h"
#include "report/json_values.h"

namespace pith::report {
namespace {

std::string_view name_of(NormKind kind) { return kind == NormKind::rms ? "rms" : "layer"; }

std::string_view name_of(Activation activation) {
  switch (activation) {
    case Activation::silu:
      return "silu";
    case Activation::gelu_tanh:
      return "gelu_tanh";
    case Activation::gelu_erf:
      return "gelu_erf";
    case Activation::relu:
      return "relu";
  }
  return "";
}

std::string_view name_of(RopeScaling scaling) {
  switch (scaling) {
    case RopeScaling::none:
      return "none";
    case RopeScaling::linear:
      return "linear";
    case RopeScaling::llama3:
      return "llama3";
    case RopeScaling::yarn:
      return "yarn";
    case RopeScaling::longrope:
      return "longrope";
    case RopeScaling::dynamic:
      return "dynamic";
  }
  return "";
}

std::string rope_text(const Rope& rope) {
  if (!rope.on) return "none";
  std::string text = fmt::format("{} dims, base {:g}", rope.dims, rope.base);
  if (rope.scaling != RopeScaling::none)
    text += fmt::format(", {} scaling by {:g}", name_of(rope.scaling), rope.factor);
  return text;
}

std::string role_text(const TensorGroup& group) {
  const std::string role(role_name(group.role));
  return group.part == Part::weight ? role : fmt::format("{} {}", role, part_name(group.part));
}

std::string operations_text(const ModelSummary& s) {
  std::string text = fmt::format("{} to write the first", human_operations(s.cost.decode_ops(0)));
  if (s.context > 0)
    text += fmt::format(", {} after {} tokens", human_operations(s.cost.decode_ops(double(s.context))), s.context);
  if (s.theoretical_ops() < 0.999 * s.cost.linear_ops)
    text += fmt::format("; {} less without zeros", human_operations(s.cost.linear_ops - s.theoretical_ops()));
  return text;
}

Facts facts_of(const ModelSummary& s) {
  const Config& c = s.config;
  Facts facts;
  facts.emplace_back("model", fmt::format("{} ({}, {})", s.name, s.container, human_bytes(s.file_bytes)));
  facts.emplace_back("family", c.arch);
  facts.emplace_back("parameters", fmt::format("{} ({}) in {} tensors", human_parameters(s.parameters),
                                               human_count(s.parameters), s.tensors));
  facts.emplace_back("shape",
                     fmt::format("{} layers, hidden {}, ffn {}, vocabulary {}", c.layers, c.hidden, c.ffn, c.vocab));
  facts.emplace_back("attention",
                     fmt::format("{} heads of {}, {} for keys and values", c.heads, c.head_dim, c.kv_heads));
  if (c.experts > 0) facts.emplace_back("experts", fmt::format("{}, {} used", c.experts, c.experts_used));
  if (c.sliding_window > 0) facts.emplace_back("sliding window", fmt::format("{}", c.sliding_window));
  facts.emplace_back("rope", rope_text(c.rope));
  facts.emplace_back("choices", fmt::format("{} norm, {}{}{}{}", name_of(c.norm), name_of(c.activation),
                                            c.gated ? ", gated" : "", c.parallel_block ? ", parallel block" : "",
                                            c.tied_embeddings ? ", head tied to the embedding" : ""));
  facts.emplace_back("context", fmt::format("{}", c.context));
  facts.emplace_back("tokenizer",
                     s.tokenizer.empty() ? "none" : fmt::format("{}, {} tokens", s.tokenizer, s.tokenizer_vocab));
  facts.emplace_back("bits per weight",
                     fmt::format("{:.3f} in linears, {:.3f} in all", s.linear_bits_per_weight(), s.bits_per_weight()));
  facts.emplace_back("size",
                     fmt::format("linears {}, all weights {}: {:.3f}x smaller than 16 bits a parameter",
                                 human_bytes(s.linear_bytes), human_bytes(s.tensor_bytes), s.compression_ratio()));
  facts.emplace_back("operations a token", operations_text(s));
  if (s.zeros)
    facts.emplace_back("pruning rate",
                       fmt::format("{:.3f} % of the linears ({} of {} are zero)", 100 * s.zeros->share(),
                                   human_count(s.zeros->zeros), human_count(s.zeros->values)));
  facts.emplace_back("keys and values", fmt::format("{} a token ({})", human_bytes(s.kv_bytes_per_token), s.kv));
  facts.emplace_back("memory to run", fmt::format("{} for a context of {} (weights, keys and values)",
                                                  human_bytes(s.run_bytes), s.context));
  for (const std::string& note : s.notes) facts.emplace_back("note", note);
  return facts;
}

Table table_of(const ModelSummary& s) {
  Table table;
  table.columns = {{"role", false},      {"tensors", true}, {"shape", true},          {"format", false},
                   {"parameters", true}, {"bytes", true},   {"bits per weight", true}};
  for (const TensorGroup& g : s.groups)
    table.rows.push_back({role_text(g), fmt::format("{}", g.tensors), fmt::format("{} x {}", g.rows, g.cols), g.format,
                          human_count(g.parameters), human_bytes(g.bytes),
                          g.parameters > 0 ? fmt::format("{:.3f}", 8.0 * double(g.bytes) / double(g.parameters)) : ""});
  return table;
}

Json json_of(const Config& c) {
  return {{"family", c.arch},
          {"vocab", c.vocab},
          {"hidden", c.hidden},
          {"layers", c.layers},
          {"heads", c.heads},
          {"kv_heads", c.kv_heads},
          {"head_dim", c.head_dim},
          {"ffn", c.ffn},
          {"context", c.context},
          {"norm", name_of(c.norm)},
          {"norm_eps", c.norm_eps},
          {"activation", name_of(c.activation)},
          {"gated", c.gated},
          {"parallel_block", c.parallel_block},
          {"rope", c.rope.on},
          {"rope_dims", c.rope.dims},
          {"rope_base", c.rope.base},
          {"rope_scaling", name_of(c.rope.scaling)},
          {"rope_factor", c.rope.factor},
          {"sliding_window", c.sliding_window},
          {"experts", c.experts},
          {"experts_used", c.experts_used},
          {"tied_embeddings", c.tied_embeddings}};
}

Json json_of(const TensorGroup& g) {
  return {{"role", role_name(g.role)},
          {"part", part_name(g.part)},
          {"format", g.format},
          {"rows", g.rows},
          {"cols", g.cols},
          {"tensors", g.tensors},
          {"parameters", g.parameters},
          {"bytes", g.bytes}};
}

}  // namespace

std::string inspect_text(const ModelSummary& summary) {
  return text_facts(facts_of(summary)) + '\n' + text_table(table_of(summary));
}

std::string inspect_markdown(const ModelSummary& summary) {
  return markdown_facts(facts_of(summary)) + '\n' + markdown_table(table_of(summary));
}

std::string inspect_json(const ModelSummary& s) {
  Json groups = Json::array();
  for (const TensorGroup& group : s.groups) groups.push_back(json_of(group));
  return text_of({{"name", s.name},
                  {"container", s.container},
                  {"file_bytes", s.file_bytes},
                  {"config", json_of(s.config)},
                  {"tensors", s.tensors},
                  {"parameters", s.parameters},
                  {"tensor_bytes", s.tensor_bytes},
                  {"bits_per_weight", s.bits_per_weight()},
                  {"bits_per_weight_linears", s.linear_bits_per_weight()},
                  {"linear_parameters", s.linear_parameters},
                  {"linear_bytes", s.linear_bytes},
                  {"compression_ratio_to_16_bits", s.compression_ratio()},
                  {"operations",
                   {{"linears", s.cost.linear_ops},
                    {"linears_without_zeros", s.theoretical_ops()},
                    {"head", s.cost.head_ops},
                    {"attention_per_token_before", s.cost.ops_per_past}}},
                  {"bytes_read_per_token", s.cost.bytes},
                  {"pruning_rate", s.zeros ? Json(s.zeros->share()) : Json(nullptr)},
                  {"kv", s.kv},
                  {"kv_bytes_per_token", s.kv_bytes_per_token},
                  {"run_context", s.context},
                  {"run_bytes", s.run_bytes},
                  {"tokenizer", s.tokenizer.empty() ? Json(nullptr) : Json(s.tokenizer)},
                  {"tokenizer_vocab", s.tokenizer_vocab},
                  {"notes", s.notes},
                  {"groups", std::move(groups)}});
}

}  // namespace pith::report
