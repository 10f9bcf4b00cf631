#include "model/forward.h"

#include <algorithm>

#include "core/error.h"
#include "kernels/rows.h"
#include "model/forward_layers.h"
#include "model/forward_piece.h"
#include "ops/parts.h"

namespace pith {

namespace {
constexpr dim kLogitsBytes = dim(100) << 20;  // of one piece of logits
constexpr dim kMostLogitsRows = 512;
}  // namespace

struct Forward::Impl {
  Network net;
  Layers layers;
  Buffer normed, logits, last;

  explicit Impl(const Network& n) : net(n), layers(n) {}
  void finish_logits(float* rows, dim count);
  void head(const float* x, const Piece& piece, bool all_rows, dim first_row, const LogitsSink& sink,
            LinearObserver* observer);
};

Forward::Forward(const Network& network) {
  check_network(network);
  impl_ = std::make_unique<Impl>(network);
}
Forward::~Forward() = default;

dim Forward::workspace_bytes() const {
  return impl_->layers.workspace_bytes() + impl_->normed.size_bytes() + impl_->logits.size_bytes() +
         impl_->last.size_bytes();
}

void Forward::Impl::finish_logits(float* rows, dim count) {
  const Config& c = *net.config;
  const dim slice = 8192;  // values at a time, so that a single row is shared out too
  const dim total = count * c.vocab;
  parallel_for((total + slice - 1) / slice,
               [&](dim i) {
                 float* x = rows + i * slice;
                 const dim n = std::min(slice, total - i * slice);
                 if (c.logit_scale != 1) multiply(x, float(c.logit_scale), n);
                 if (c.logit_softcap > 0) soft_cap(x, float(c.logit_softcap), n);
                 if (!all_finite(x, n))
                   throw Error(Blame::input, "forward", "expected finite logits, got others from lm_head",
                               "a weight there is damaged, or values overflow");
               },
               grain_of(slice));
}

// x: the hidden states of all rows of the piece, or of the wanted ones; overwritten.
void Forward::Impl::head(const float* x, const Piece& piece, bool all_rows, dim first_row, const LogitsSink& sink,
                         LinearObserver* observer) {
  const Config& c = *net.config;
  const dim wanted = dim(piece.wanted.size());
  const dim step = std::clamp<dim>(kLogitsBytes / (c.vocab * dim(sizeof(float))), 8, kMostLogitsRows);
  for (dim done = 0; done < wanted; done += step) {
    const dim n = std::min(step, wanted - done);
    normed.reserve(n * c.hidden * dim(sizeof(float)));
    float* in = normed.as<float>();
    for (dim i = 0; i < n; ++i) {
      const dim row = all_rows ? piece.wanted[std::size_t(done + i)] : done + i;
      std::copy_n(x + row * c.hidden, c.hidden, in + i * c.hidden);
    }
    layers.normalize(net.output_norm, in, n, in, c.layers - 1, "after");
    logits.reserve(n * c.vocab * dim(sizeof(float)));
    layers.multiply({&net.lm_head, Role::lm_head, in, n, logits.as<float>()}, -1, observer);
    finish_logits(logits.as<float>(), n);
    sink(first_row + done, logits.as<float>(), n);
  }
}

void Forward::run(KvCache& cache, std::span<const Chunk> chunks, const LogitsSink& sink, LinearObserver* observer) {
  Layers& layers = impl_->layers;
  const Config& c = *impl_->net.config;
  PITH_CHECK(cache.layers_ == c.layers && cache.kv_heads_ == c.kv_heads && cache.head_dim_ == c.head_dim);
  dim first_row = 0;
  for (const Piece& piece : cut_pieces(c, cache, chunks, layers.max_rows())) {
    const float* x = layers.run(cache, piece, observer);
    for (const PieceRun& run : piece.runs) cache.length_[std::size_t(run.sequence)] += run.count;
    impl_->head(x, piece, observer != nullptr, first_row, sink, observer);
    first_row += dim(piece.wanted.size());
  }
}

std::span<const float> Forward::next(KvCache& cache, std::span<const Token> tokens, dim sequence) {
  if (tokens.empty()) throw input_error("forward", "expected at least one token, got none");
  const Chunk chunk = {sequence, tokens, dim(tokens.size()) - 1};
  const dim vocab = impl_->net.config->vocab;
  run(cache, {&chunk, 1}, [&](dim, const float* logits, dim) {
    impl_->last.reserve(vocab * dim(sizeof(float)));
    std::copy_n(logits, vocab, impl_->last.as<float>());
  });
  return {impl_->last.as<float>(), std::size_t(vocab)};
}

}  // namespace pith
