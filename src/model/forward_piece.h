// A run's tokens, cut into pieces that the workspaces hold.
#pragma once
#include <span>
#include <vector>

#include "model/forward.h"

namespace pith {

// Consecutive tokens of one sequence inside a piece.
struct PieceRun {
  dim sequence = 0;
  dim first_position = 0;
  dim count = 0;
  dim row = 0;          // of the first token in the piece
  dim wanted_from = 0;  // rows [row + wanted_from, row + count) want logits
};

struct Piece {
  std::vector<PieceRun> runs;
  std::vector<dim> ids;        // token of each row
  std::vector<dim> positions;  // of each row
  std::vector<dim> wanted;     // rows that want logits, ascending
  dim rows() const { return dim(ids.size()); }
};

// Error(input) for tokens outside the vocabulary, sequences outside the cache and chunks beyond its capacity.
std::vector<Piece> cut_pieces(const Config& config, const KvCache& cache, std::span<const Chunk> chunks, dim max_rows);

}  // namespace pith
