// What a model's files ask of the program that runs it. Other programs pass it by, or have words of their own for it.
#pragma once
#include "ops/act/act_codec.h"
#include "ops/kv/kv_codec.h"

namespace pith {

struct RunTime {
  ActSpec activations;  // how the inputs of the blocks' quantized matrices are rounded; f32: not at all
  KvSpec kv;            // how keys and values are stored
};

}  // namespace pith
