#include "model/backward/tape.h"

#include <algorithm>

#include "core/error.h"

namespace pith {

template <class Each>
void Tape::for_records(const Each& each) {
  for (Record* r :
       {&attn_in, &attended, &ffn_in, &active, &q, &k, &v, &qkv, &attn_out, &gate, &up, &gate_up, &ffn_out, &middle})
    each(*r);
}

void Tape::begin(dim rows, dim hidden) {
  rows_ = rows;
  hidden_ = hidden;
  for_records([](Record& r) { r.filled = 0; });
}

dim Tape::size_bytes() const {
  dim sum = 0;
  const_cast<Tape*>(this)->for_records([&](const Record& r) { sum += r.data.size_bytes(); });
  return sum;
}

void Tape::add(Record& record, const float* x, dim rows, dim cols) {
  if (record.filled == 0) record.data.reserve(rows_ * cols * dim(sizeof(float)));
  PITH_CHECK(record.filled + rows <= rows_ && (record.filled == 0 || record.cols == cols));
  record.cols = cols;
  std::copy_n(x, rows * cols, record.rows() + record.filled * cols);
  record.filled += rows;
}

// Of the matrices that read the same input one is enough.
Tape::Record* Tape::input_of(Role role) {
  switch (role) {
    case Role::attn_v:
    case Role::attn_qkv:
      return &attn_in;
    case Role::attn_o:
      return &attended;
    case Role::ffn_up:
    case Role::ffn_gate_up:
      return &ffn_in;
    case Role::ffn_down:
      return &active;
    default:
      return nullptr;
  }
}

Tape::Record* Tape::output_of(Role role) {
  switch (role) {
    case Role::attn_q:
      return &q;
    case Role::attn_k:
      return &k;
    case Role::attn_v:
      return &v;
    case Role::attn_qkv:
      return &qkv;
    case Role::attn_o:
      return &attn_out;
    case Role::ffn_gate:
      return &gate;
    case Role::ffn_up:
      return &up;
    case Role::ffn_gate_up:
      return &gate_up;
    case Role::ffn_down:
      return &ffn_out;
    default:
      return nullptr;
  }
}

void Tape::linear_input(Role role, dim, const float* x, dim rows, dim cols) {
  if (Record* record = input_of(role)) add(*record, x, rows, cols);
}

void Tape::linear_output(Role role, dim, const float* y, dim rows, dim cols) {
  if (Record* record = output_of(role)) add(*record, y, rows, cols);
}

void Tape::residual(dim, const float* x, dim rows) { add(middle, x, rows, hidden_); }

}  // namespace pith
