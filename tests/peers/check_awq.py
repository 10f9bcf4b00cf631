"""AWQ "gemm", unpacked with numpy by AutoAWQ's rules. See packed_layers.py."""
import sys

import numpy as np
from packed_layers import report, tensors

packed, dense = sys.argv[1:3]
stored = tensors(packed)
UNDO = [0, 4, 1, 5, 2, 6, 3, 7]  # column c of eight is nibble UNDO[c]


def unpack(words):
    nibbles = np.stack([(words.astype(np.int64) >> (4 * n)) & 15 for n in range(8)], axis=-1)
    return nibbles[..., UNDO].reshape(words.shape[0], -1)


decoded = {}
for name in stored:
    if not name.endswith(".qweight"):
        continue
    base = name[: -len(".qweight")]
    codes, zeros = unpack(stored[name]), unpack(stored[base + ".qzeros"])
    scales = stored[base + ".scales"].astype(np.float32)
    group = codes.shape[0] // zeros.shape[0]
    zeros, scales = np.repeat(zeros, group, axis=0), np.repeat(scales, group, axis=0)
    decoded[base + ".weight"] = ((codes - zeros).astype(np.float32) * scales).T
report("awq", decoded, dense)
