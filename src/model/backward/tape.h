// What a block's backward needs of its forward: inputs and outputs of its linear layers, and the residual stream
// between its halves. The rest is cheap to form again.
#pragma once
#include "model/forward.h"

namespace pith {

class Tape final : public LinearObserver {
 public:
  // (rows, cols), filled from the top by successive pieces.
  struct Record {
    Buffer data;
    dim filled = 0, cols = 0;  // filled: rows
    const float* rows() const { return data.as<float>(); }
    float* rows() { return data.as<float>(); }
  };
  // The inputs of queries, keys and values; of the output; of gate and up; of down.
  Record attn_in, attended, ffn_in, active;
  // Outputs. qkv and gate_up where they are fused; attn_out and ffn_out where a norm follows.
  Record q, k, v, qkv, attn_out, gate, up, gate_up, ffn_out;
  Record middle;  // residual stream

  // rows: of all pieces together; hidden: the residual stream's width.
  void begin(dim rows, dim hidden);
  dim size_bytes() const;

  void linear_input(Role role, dim layer, const float* x, dim rows, dim cols) override;
  void linear_output(Role role, dim layer, const float* y, dim rows, dim cols) override;
  void residual(dim layer, const float* x, dim rows) override;

 private:
  void add(Record& record, const float* x, dim rows, dim cols);
  Record* input_of(Role role);
  Record* output_of(Role role);
  template <class Each>
  void for_records(const Each& each);
  dim rows_ = 0, hidden_ = 0;
};

}  // namespace pith
