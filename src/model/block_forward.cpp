#include "model/block_forward.h"

#include <algorithm>

#include "model/forward_layers.h"
#include "model/forward_piece.h"

namespace pith {

namespace {

Config of_one_layer(const Config& config) {
  Config one = config;
  one.layers = 1;
  return one;
}

}  // namespace

struct BlockForward::Impl {
  Network net;
  Config one_layer;
  Layers layers;
  KvCache cache;
  std::vector<Token> any;  // tokens of which only the number matters

  Impl(const Network& network, dim max_length)
      : net(network), one_layer(of_one_layer(*network.config)), layers(network), cache(one_layer, 1, max_length) {}

  std::vector<Piece> pieces(std::span<const Token> tokens) {
    cache.clear();
    const Chunk chunk = {0, tokens, 0};
    return cut_pieces(*net.config, cache, {&chunk, 1}, layers.max_rows());
  }
};

BlockForward::BlockForward(const Network& network, dim max_length) {
  check_network(network);
  impl_ = std::make_unique<Impl>(network, max_length);
}
BlockForward::~BlockForward() = default;

dim BlockForward::hidden_size() const { return impl_->net.config->hidden; }

void BlockForward::embed(std::span<const Token> tokens, float* hidden) {
  for (const Piece& piece : impl_->pieces(tokens)) {
    impl_->layers.embed(piece, hidden);
    hidden += piece.rows() * hidden_size();
  }
}

void BlockForward::run(dim layer, float* hidden, dim length, LinearObserver* observer) {
  impl_->any.assign(std::size_t(length), 0);
  for (const Piece& piece : impl_->pieces(impl_->any)) {
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
