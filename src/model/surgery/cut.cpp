#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/parallel.h"
#include "formats/format.h"
#include "model/model_impl.h"
#include "model/open/tensor_table.h"
#include "model/shared.h"
#include "model/surgery.h"
#include "model/surgery/add_bias.h"
#include "model/surgery/cut_config.h"
#include "model/surgery/indices.h"
#include "model/surgery/merge_experts.h"
#include "model/surgery/places.h"

namespace pith {

namespace {

class Surgeon {
 public:
  Surgeon(Model::Impl& model, const Surgery& surgery)
      : m_(model), c_(model.config), s_(surgery), places_(model.config, surgery) {}

  void run() {
    merge_experts(m_, s_);
    keep_layers_and_experts();
    for (ModelTensor& t : m_.tensors) cut(t);
    add_biases();
    if (!s_.tokens.empty()) reduce_vocabulary();
    set_choices();
    m_.notes.insert(m_.notes.end(), s_.notes.begin(), s_.notes.end());
  }

 private:
  void keep_layers_and_experts() {
    std::vector<dim> now(std::size_t(c_.layers), -1);
    for (std::size_t i = 0; i < s_.layers.size(); ++i) now[std::size_t(s_.layers[i])] = dim(i);
    std::erase_if(m_.tensors, [&](const ModelTensor& t) { return t.layer >= 0 && now[std::size_t(t.layer)] < 0; });
    for (ModelTensor& t : m_.tensors)
      if (t.layer >= 0) t.layer = now[std::size_t(t.layer)];
    std::erase_if(m_.tensors, [&](const ModelTensor& t) { return t.expert >= 0 && place_of_expert(t) < 0; });
    for (ModelTensor& t : m_.tensors) {
      if (t.layer < 0) continue;
      t.expert = t.expert < 0 ? -1 : place_of_expert(t);
      t.name = renumbered(t.name, t.layer, t.expert);
    }
  }

  dim place_of_expert(const ModelTensor& t) const {
    const std::vector<dim>& kept = block(t).experts;
    const auto at = std::find(kept.begin(), kept.end(), t.expert);
    return at == kept.end() ? -1 : at - kept.begin();
  }

  bool all_hidden() const { return dim(s_.hidden.size()) == c_.hidden; }
  const BlockCut& block(const ModelTensor& t) const { return s_.blocks[std::size_t(t.layer)]; }

  void cut(ModelTensor& t) {
    if (t.role == Role::other || t.role == Role::rope_factors || t.role == Role::rope_long_factors) return;
    if (is_norm(t.role)) return cut_norm(t);
    if (t.part == Part::bias) return select(t, {0}, places_.rows(t, t.weight.cols));
    select(t, places_.rows(t, t.weight.rows), places_.cols(t));
  }

  void cut_norm(ModelTensor& t) {
    if (t.role == Role::attn_q_norm || t.role == Role::attn_k_norm) {
      if (c_.head_norms != HeadNorms::each) return;
      return select(t, t.role == Role::attn_q_norm ? block(t).heads : block(t).kv_heads, first(t.weight.cols));
    }
    select(t, {0}, s_.hidden);
    if (all_hidden()) return;
    // The mean square is over fewer channels now, as if the others were 0.
    const float scale = float(std::sqrt(double(c_.hidden) / double(s_.hidden.size())));
    const float one = c_.norm_plus_one ? 1.0f : 0.0f;
    std::vector<float> values(std::size_t(t.weight.cols));
    t.weight.format->decode(*t.weight.format, t.weight.data, t.weight.cols, values.data());
    for (float& v : values) v = (v + one) * scale - one;
    keep(t, f32_format(), values.data(), dim(values.size() * sizeof(float)));
  }

  void keep(ModelTensor& t, const Format& format, const void* bytes, dim size_bytes) {
    Buffer out(size_bytes);
    std::memcpy(out.data(), bytes, std::size_t(size_bytes));
    t.weight.format = &format;
    t.weight.data = m_.scratch.keep(std::move(out));
  }

  void select(ModelTensor& t, const std::vector<dim>& rows, const std::vector<dim>& cols) {
    const bool all_cols = cols == first(t.weight.cols);
    if (all_cols && rows == first(t.weight.rows)) return;
    const Format& format = *t.weight.format;
    const dim before_bytes = row_bytes(format, t.weight.cols);
    const bool elements = format.block == 1;
    const Format& stored = all_cols || elements ? format : f32_format();
    const dim after_bytes = row_bytes(stored, dim(cols.size()));
    Buffer out(dim(rows.size()) * after_bytes);
    parallel_ranges(dim(rows.size()), 16, [&](dim begin, dim end) {
      std::vector<float> decoded(all_cols || elements ? 0 : std::size_t(t.weight.cols));
      for (dim r = begin; r < end; ++r) {
        const std::byte* from = t.weight.data + rows[std::size_t(r)] * before_bytes;
        std::byte* to = out.data() + r * after_bytes;
        if (all_cols) {
          std::memcpy(to, from, std::size_t(after_bytes));
        } else if (elements) {
          for (const dim c : cols)
            std::memcpy(std::exchange(to, to + format.block_bytes), from + c * format.block_bytes,
                        std::size_t(format.block_bytes));
        } else {
          format.decode(format, from, t.weight.cols, decoded.data());
          for (std::size_t c = 0; c < cols.size(); ++c)
            std::memcpy(to + 4 * c, &decoded[std::size_t(cols[c])], sizeof(float));
        }
      }
    });
    t.weight.format = &stored;
    t.weight.rows = dim(rows.size());
    t.weight.cols = dim(cols.size());
    t.weight.data = m_.scratch.keep(std::move(out));
    if (t.shape.size() == 2) t.shape = {t.weight.rows, t.weight.cols};
    if (t.shape.size() == 1) t.shape = {t.weight.cols};
  }

  // Programs take biases for all projections of a branch or for none, so the others get zeros.
  void add_biases() {
    const auto picked = [](const std::vector<float>& all, const std::vector<dim>& at) {
      std::vector<float> out;
      for (const dim i : at) out.push_back(all[std::size_t(i)]);
      return out;
    };
    for (std::size_t l = 0; l < s_.blocks.size(); ++l) {
      const BlockCut& b = s_.blocks[l];
      const dim layer = dim(l);
      if (!b.attn_bias.empty()) {
        add_bias(m_, Role::attn_o, layer, picked(b.attn_bias, s_.hidden));
        add_bias(m_, Role::attn_q, layer, {});
        add_bias(m_, Role::attn_k, layer, {});
        add_bias(m_, Role::attn_v, layer, {});
        add_bias(m_, Role::attn_qkv, layer, {});
      }
      if (!b.ffn_bias.empty()) {
        add_bias(m_, Role::ffn_down, layer, picked(b.ffn_bias, s_.hidden));
        add_bias(m_, Role::ffn_gate, layer, {});
        add_bias(m_, Role::ffn_up, layer, {});
        add_bias(m_, Role::ffn_gate_up, layer, {});
      }
    }
  }

  void reduce_vocabulary() {
    m_.load_tokenizer();
    if (m_.tokenizer_fault) throw *m_.tokenizer_fault;
    m_.tokenizer.emplace(m_.tokenizer->reduced(s_.tokens));
    m_.own_tokenizer = true;
  }

  void set_choices() {
    const Config before = c_;
    if (!s_.tokens.empty()) c_.vocab = dim(s_.tokens.size());
    c_.layers = dim(s_.layers.size());
    c_.hidden = dim(s_.hidden.size());
    const BlockCut& b = s_.blocks.front();
    c_.heads = dim(b.heads.size());
    c_.kv_heads = dim(b.kv_heads.size());
    c_.ffn = dim(b.neurons.size());
    c_.experts = dim(b.experts.size());
    c_.experts_used = std::min(c_.experts_used, c_.experts);
    if (c_.hidden != before.hidden) c_.norm_eps *= double(before.hidden) / double(c_.hidden);
    if (c_.hidden % c_.heads != 0)
      m_.notes.push_back(
          fmt::format("transformers refuses a hidden size ({}) that is no multiple of the heads ({}); "
                      "llama.cpp and pith do not",
                      c_.hidden, c_.heads));
    if (!m_.hf_config.empty()) m_.hf_config = cut_config(m_.hf_config, before, c_, *m_.arch, s_);
  }

  Model::Impl& m_;
  Config& c_;
  const Surgery& s_;
  const Places places_;
};

void refuse(const Model& model, const std::string& why, std::string_view hint) {
  if (!why.empty())
    throw Error(Blame::input, model.path().string(), fmt::format("expected a model that can be cut so: {}", why), hint);
}

std::string as_stored(const Model& model) {
  for (const ModelTensor& t : model.tensors()) {
    if (t.outliers) return "it keeps outliers apart";
    if (t.sparse) return "its zeros are left out; pith convert --store dense brings them back";
    if (t.turn) return "its matrices are stored between rotations";
    if (t.part == Part::inner) return "its matrices are factored";
  }
  if (is_shared(model)) return "its blocks share matrices";
  return model.config().rotated_down ? "it is rotated" : "";
}

}  // namespace

Model cut_model(const Model& model, const Surgery& s) {
  const Config& c = model.config();
  PITH_CHECK(!s.layers.empty() && s.blocks.size() == s.layers.size() && !s.hidden.empty());
  const BlockCut& shape = s.blocks.front();
  for (const BlockCut& b : s.blocks)
    PITH_CHECK(b.heads.size() == shape.heads.size() && b.kv_heads.size() == shape.kv_heads.size() &&
               b.neurons.size() == shape.neurons.size() && b.experts.size() == shape.experts.size() &&
               b.heads.size() % b.kv_heads.size() == 0);
  refuse(model, as_stored(model), "start from the original model");
  if (dim(shape.heads.size()) != c.heads) refuse(model, cannot_cut_heads(model), "prune neurons or layers instead");
  if (dim(shape.neurons.size()) != c.ffn) refuse(model, cannot_cut_neurons(model), "prune heads or layers instead");
  if (dim(s.hidden.size()) != c.hidden) refuse(model, cannot_cut_hidden(model), "prune neurons or layers instead");
  refuse(model, cannot_keep_layers(model, s.layers), "prune neurons or heads instead");
  return Model::edited(model, [s](Model::Impl& impl) { Surgeon(impl, s).run(); });
}

}  // namespace pith
