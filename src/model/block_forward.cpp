#include "model/block_forward.h"

#include <algorithm>

#include "model/forward_layers.h"
#include "model/forward_piece.h"

namespace pith {

namespace {

Config of_one_layer(const Config& config) {
  Config one = config;
  one.layers = 1;
  one.kv_latent.clear();
  return one;
}

}  // namespace

struct BlockForward::Impl {
  Network net;
  Config one_layer;
  Layers layers;
  KvCache cache;
  std::vector<Token> any;  // tokens of which only the number matters

  Impl(const Network& network, dim max_length, dim sequences)
      : net(network),
        one_layer(of_one_layer(*network.config)),
        layers(network),
        cache(one_layer, sequences, max_length) {}

  std::vector<Piece> pieces(std::span<const Chunk> chunks) {
    cache.clear();
    return cut_pieces(*net.config, cache, chunks, layers.max_rows());
  }
};

BlockForward::BlockForward(const Network& network, dim max_length, dim sequences) {
  check_network(network);
  impl_ = std::make_unique<Impl>(network, max_length, sequences);
}
BlockForward::~BlockForward() = default;

dim BlockForward::hidden_size() const { return impl_->net.config->hidden; }

void BlockForward::embed(std::span<const Token> tokens, float* hidden) {
  const Chunk chunk = {0, tokens, 0};
  for (const Piece& piece : impl_->pieces({&chunk, 1})) {
    impl_->layers.embed(piece, hidden);
    hidden += piece.rows() * hidden_size();
  }
}

void BlockForward::run(dim layer, float* hidden, std::span<const dim> lengths, LinearObserver* observer) {
  dim most = 0;
  for (const dim length : lengths) most = std::max(most, length);
  impl_->any.assign(std::size_t(most), 0);
  std::vector<Chunk> chunks;
  for (std::size_t i = 0; i < lengths.size(); ++i)
    chunks.push_back({dim(i), std::span(impl_->any).first(std::size_t(lengths[i])), 0});
  for (const Piece& piece : impl_->pieces(chunks)) {
    impl_->layers.run_block(impl_->cache, piece, layer, hidden, observer);
    hidden += piece.rows() * hidden_size();
  }
}

void BlockForward::show_head(float* hidden, dim length, LinearObserver& observer) {
  const dim last = impl_->net.config->layers - 1;
  impl_->layers.normalize(impl_->net.output_norm, hidden, length, hidden, last, "after");
  observer.linear_input(Role::lm_head, -1, hidden, length, hidden_size());
}

dim BlockForward::working_bytes(const Config& config, dim max_length) {
  return Layers::bytes_for_rows(config, std::min(max_length, Layers::rows_that_fit(config))) +
         KvCache::bytes(of_one_layer(config), 1, max_length);
}

}  // namespace pith
