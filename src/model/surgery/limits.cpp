#include <fmt/core.h>

#include "model/arch.h"
#include "model/sliding.h"
#include "model/surgery.h"
#include "model/surgery/indices.h"

namespace pith {

BlockCut whole_block(const Config& c) { return {first(c.kv_heads), first(c.heads), first(c.ffn), first(c.experts)}; }

Surgery whole(const Config& c) {
  return {first(c.layers), std::vector<BlockCut>(std::size_t(c.layers), whole_block(c)), first(c.hidden)};
}

std::string cannot_cut_heads(const Model& model) {
  if (model.config().head_norms == HeadNorms::whole) return "one norm spans all heads";
  const Spelling spelling{true, model.arch().hf_sizes};
  for (const SizeKey& key : size_keys())
    if (key.field == &Config::head_dim && !model.is_gguf() && spelling.in_hf(key).hf.empty())
      return "config.json has no key for the size of a head";
  return {};
}

std::string cannot_cut_neurons(const Model& model) {
  return model.config().experts > 0 ? "its feed-forward networks are mixtures of experts" : "";
}

std::string cannot_cut_hidden(const Model& model) {
  const Config& c = model.config();
  if (c.norm != NormKind::rms) return "layer norms take the mean of all channels";
  if (c.embed_scale != 1) return "the embedding's scale follows from the number of channels";
  if (model.pos_embed().weight) return "it has position embeddings";
  return {};
}

std::string cannot_keep_layers(const Model& model, const std::vector<dim>& layers) {
  for (std::size_t i = 0; i < layers.size(); ++i)
    if (layer_slides(model.config(), layers[i]) != layer_slides(model.config(), dim(i)))
      return fmt::format("layer {} would stand at {}, where the pattern of windows differs", layers[i], i);
  return {};
}

bool takes_branch_biases(const Model& model) {
  int found = 0;
  for (const TensorName& e : model.arch().tensors)
    if ((e.role == Role::attn_o || e.role == Role::ffn_down) && e.part == Part::bias)
      found += !(model.is_gguf() ? e.gguf : e.hf).empty();
  return found == 2;
}

}  // namespace pith
