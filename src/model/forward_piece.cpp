#include "model/forward_piece.h"

#include <algorithm>

#include "core/error.h"

namespace pith {

namespace {

void check_chunk(const Config& config, const KvCache& cache, const Chunk& chunk, dim length) {
  const dim count = dim(chunk.tokens.size());
  if (count > cache.capacity() - length)
    throw Error(Blame::input, "context",
                fmt::format("expected at most {} tokens in a sequence, got {}", cache.capacity(), length + count),
                "give a larger context");
  if (chunk.logits_from < 0 || chunk.logits_from > count)
    throw input_error("forward", "expected logits from a position in 0 ... {}, got {}", count, chunk.logits_from);
  for (const Token t : chunk.tokens)
    if (t < 0 || t >= config.vocab)
      throw input_error("forward", "expected tokens in 0 ... {}, got {}", config.vocab - 1, t);
}

void append(Piece& piece, const Chunk& chunk, dim done, dim count, dim position) {
  PieceRun run = {chunk.sequence, position, count, piece.rows(), std::clamp<dim>(chunk.logits_from - done, 0, count)};
  for (dim i = 0; i < count; ++i) {
    if (i >= run.wanted_from) piece.wanted.push_back(piece.rows());
    piece.ids.push_back(chunk.tokens[std::size_t(done + i)]);
    piece.positions.push_back(position + i);
  }
  piece.runs.push_back(run);
}

// An encoded cache learns of a run's newest tokens when the piece ends, so a sequence is in a piece once.
bool must_wait(const KvCache& cache, const Piece& piece, dim sequence) {
  return cache.encoded() && std::any_of(piece.runs.begin(), piece.runs.end(),
                                        [&](const PieceRun& run) { return run.sequence == sequence; });
}

}  // namespace

std::vector<Piece> cut_pieces(const Config& config, const KvCache& cache, std::span<const Chunk> chunks, dim max_rows) {
  std::vector<dim> length;
  for (dim s = 0; s < cache.sequences(); ++s) length.push_back(cache.length(s));
  std::vector<Piece> pieces(1);
  for (const Chunk& chunk : chunks) {
    if (chunk.sequence < 0 || chunk.sequence >= cache.sequences())
      throw input_error("forward", "expected a sequence in 0 ... {}, got {}", cache.sequences() - 1, chunk.sequence);
    dim& at = length[std::size_t(chunk.sequence)];
    check_chunk(config, cache, chunk, at);
    for (dim done = 0; done < dim(chunk.tokens.size());) {
      if (pieces.back().rows() == max_rows || must_wait(cache, pieces.back(), chunk.sequence)) pieces.emplace_back();
      const dim count = std::min(dim(chunk.tokens.size()) - done, max_rows - pieces.back().rows());
      append(pieces.back(), chunk, done, count, at);
      done += count;
      at += count;
    }
  }
  if (pieces.back().rows() == 0) pieces.pop_back();
  return pieces;
}

}  // namespace pith
