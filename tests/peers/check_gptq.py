"""GPTQ, unpacked with numpy by AutoGPTQ's rules. See packed_layers.py."""
import sys

import numpy as np
from packed_layers import bits_of, config, report, tensors

packed, dense = sys.argv[1:3]
settings = config(packed)["quantization_config"]
stored = tensors(packed)
decoded = {}
for name in stored:
    if not name.endswith(".qweight"):
        continue
    base = name[: -len(".qweight")]
    g_idx = stored[base + ".g_idx"].astype(np.int64)
    bits = stored[name].shape[0] * 32 // g_idx.size
    codes = bits_of(stored[name], bits, 0)  # (in, out)
    zeros = bits_of(stored[base + ".qzeros"], bits, 1)  # (groups, out)
    if settings["checkpoint_format"] == "gptq":
        zeros = zeros + 1
    scales = stored[base + ".scales"].astype(np.float32)
    decoded[base + ".weight"] = ((codes - zeros[g_idx]).astype(np.float32) * scales[g_idx]).T
report("gptq", decoded, dense)
