#include "compress/structured/masked_network.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "formats/format.h"
#include "ops/dense_product.h"

namespace pith {

namespace {

constexpr dim kRowsAtOnce = 64;  // whose sums are formed together, whatever the threads

void add_to(std::span<double> to, std::span<const double> values, double factor = 1) {
  PITH_CHECK(to.size() == values.size());
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += factor * values[i];
}

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

MaskedNetwork::MaskedNetwork(const Model& model, const Choice& choice)
    : model_(model),
      config_(model.config()),
      format_(choice.bf16 && has_bf16_products() ? bf16_format() : f32_format()),
      network_(Network::of(model)) {
  blocks_.assign(network_.blocks.begin(), network_.blocks.end());
  network_.blocks = blocks_;
  for (dim l = 0; l < config_.layers; ++l) {
    attention_.push_back(mask(Role::attn_o, l, &blocks_[std::size_t(l)].o.weight));
    ffn_.push_back(mask(Role::ffn_down, l, &blocks_[std::size_t(l)].down.weight));
  }
  const Encoded &o = *attention_[0].copy, &down = *ffn_[0].copy;
  attention_gradient_.resize(std::size_t(o.rows * o.cols));
  ffn_gradient_.resize(std::size_t(down.rows * down.cols));
  if (!choice.hidden) return;
  embed_ = mask(Role::embed, -1, &network_.embed.weight);
  embed_gradient_.resize(std::size_t(embed_.copy->rows * embed_.copy->cols));
}

MaskedNetwork::Masked MaskedNetwork::mask(Role role, dim layer, const Weight** place) {
  const ModelTensor* t = model_.find(role, layer);
  PITH_CHECK(t && *place);
  Encoded copy;
  copy.format = &format_;
  copy.rows = t->weight.rows;
  copy.cols = t->weight.cols;
  copy.owned = Buffer(copy.rows * row_bytes(*copy.format, copy.cols));
  copy.data = copy.owned.data();
  *place = &weights_.emplace_back(std::move(copy));
  return {t, &std::get<Encoded>(weights_.back())};
}

void MaskedNetwork::write(const Masked& m, const Factors& f) {
  const Encoded& copy = *m.copy;
  const dim each = row_bytes(*copy.format, copy.cols);
  parallel_ranges(copy.rows, 16, [&](dim begin, dim end) {
    std::vector<float> row(static_cast<std::size_t>(copy.cols));
    for (dim r = begin; r < end; ++r) {
      decode_row(*m.tensor, r, row.data());
      for (std::size_t c = 0; c < row.size(); ++c) row[c] *= float(f.rows[std::size_t(r)] * f.cols[c]);
      copy.format->encode(*copy.format, row.data(), nullptr, copy.cols, {}, m.copy->owned.data() + r * each);
    }
  });
}

MaskedNetwork::Factors MaskedNetwork::sums(const Masked& m, const Factors& f, const float* gradient) {
  const dim rows = m.copy->rows, cols = m.copy->cols, pieces = (rows + kRowsAtOnce - 1) / kRowsAtOnce;
  Factors out{std::vector<double>(std::size_t(rows)), std::vector<double>(std::size_t(cols))};
  std::vector<std::vector<double>> of_piece(static_cast<std::size_t>(pieces));
  parallel_for(pieces, [&](dim p) {
    std::vector<double>& down = of_piece[std::size_t(p)];
    down.resize(std::size_t(cols));
    std::vector<float> row(static_cast<std::size_t>(cols));
    for (dim r = p * kRowsAtOnce; r < std::min(rows, (p + 1) * kRowsAtOnce); ++r) {
      decode_row(*m.tensor, r, row.data());
      for (std::size_t c = 0; c < row.size(); ++c) {
        const double product = double(gradient[std::size_t(r) * row.size() + c]) * double(row[c]);
        out.rows[std::size_t(r)] += product * f.cols[c];
        down[c] += product * f.rows[std::size_t(r)];
      }
    }
  });
  for (const auto& down : of_piece) add_to(out.cols, down);
  return out;
}

MaskedNetwork::Factors MaskedNetwork::attention_factors(const NetworkMasks& masks, dim layer) const {
  const std::span<const double> hidden = masks.hidden.values, heads = masks.heads[std::size_t(layer)].values;
  Factors out{{hidden.begin(), hidden.end()}, {}};
  const dim of_head = config_.heads / config_.kv_heads * config_.head_dim;
  for (const double z : heads)
    out.cols.insert(out.cols.end(), std::size_t(of_head), z * masks.layers.values[std::size_t(layer)]);
  return out;
}

MaskedNetwork::Factors MaskedNetwork::ffn_factors(const NetworkMasks& masks, dim layer) const {
  const std::span<const double> hidden = masks.hidden.values, neurons = masks.neurons[std::size_t(layer)].values;
  Factors out{{hidden.begin(), hidden.end()}, {neurons.begin(), neurons.end()}};
  for (double& z : out.cols) z *= masks.layers.values[std::size_t(layer)];
  return out;
}

void MaskedNetwork::publish(const NetworkMasks& masks) {
  for (dim l = 0; l < config_.layers; ++l) {
    write(attention_[std::size_t(l)], attention_factors(masks, l));
    write(ffn_[std::size_t(l)], ffn_factors(masks, l));
  }
  if (!embed_.tensor) return;
  const std::span<const double> hidden = masks.hidden.values;
  write(embed_, {std::vector<double>(std::size_t(embed_.copy->rows), 1.0), {hidden.begin(), hidden.end()}});
}

OuterGradients MaskedNetwork::outer() {
  std::fill(embed_gradient_.begin(), embed_gradient_.end(), 0.0f);
  OuterGradients out;
  if (embed_.tensor) out.embed = embed_gradient_.data();
  return out;
}

BlockGradients MaskedNetwork::wanted(dim) {
  std::fill(attention_gradient_.begin(), attention_gradient_.end(), 0.0f);
  std::fill(ffn_gradient_.begin(), ffn_gradient_.end(), 0.0f);
  BlockGradients out;
  out.o.weight = attention_gradient_.data();
  out.down.weight = ffn_gradient_.data();
  return out;
}

void MaskedNetwork::done(dim layer, NetworkMasks& masks) {
  const auto l = std::size_t(layer);
  const double z = masks.layers.values[l];
  const Factors o = sums(attention_[l], attention_factors(masks, layer), attention_gradient_.data());
  const Factors down = sums(ffn_[l], ffn_factors(masks, layer), ffn_gradient_.data());
  const dim of_head = config_.heads / config_.kv_heads * config_.head_dim;
  std::vector<double> of_heads(std::size_t(config_.kv_heads));
  for (std::size_t c = 0; c < o.cols.size(); ++c) of_heads[c / std::size_t(of_head)] += o.cols[c];
  add_to(masks.heads[l].gradient, of_heads, z);
  add_to(masks.neurons[l].gradient, down.cols, z);
  masks.layers.gradient[l] += dot(of_heads, masks.heads[l].values) + dot(down.cols, masks.neurons[l].values);
  add_to(masks.hidden.gradient, o.rows);
  add_to(masks.hidden.gradient, down.rows);
}

void MaskedNetwork::done_all(NetworkMasks& masks) {
  if (!embed_.tensor) return;
  const Factors ones{std::vector<double>(std::size_t(embed_.copy->rows), 1.0),
                     std::vector<double>(std::size_t(embed_.copy->cols), 1.0)};
  add_to(masks.hidden.gradient, sums(embed_, ones, embed_gradient_.data()).cols);
}

}  // namespace pith
