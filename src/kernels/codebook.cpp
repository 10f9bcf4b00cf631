#include "kernels/codebook.h"

#define PITH_KERNEL "kernels/codebook.inc"
#include "kernels/per_isa.inc"

namespace pith::kernels {

const LatticeFacts& facts_of(Lattice kind) {
  static const LatticeFacts facts[] = {
      {codebook_2xxs(), 32, 16, 0.5f, 0.25f, true, false}, {codebook_2xs(), 16, 16, 0.5f, 0.25f, true, false},
      {codebook_2s(), 16, 16, 0.5f, 0.25f, false, false},  {codebook_3xxs(), 32, 16, 0.5f, 0.5f, true, false},
      {codebook_3s(), 32, 16, 0.5f, 2.0f, false, false},   {codebook_1(), 32, 8, 0.5f, 2.0f, false, true},
      {codebook_1(), 16, 8, 0.5f, 2.0f, false, true},
  };
  return facts[int(kind)];
}

const LatticeKernels& lattice_kernels([[maybe_unused]] Isa isa) { return PITH_PICK(isa, kLatticeTable); }

}  // namespace pith::kernels
