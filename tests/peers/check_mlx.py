"""MLX, decoded by mlx itself. See packed_layers.py."""
import sys

import numpy as np
from packed_layers import config, need, report, tensors

mx = need("mlx.core")
packed, dense = sys.argv[1:3]
settings = config(packed)["quantization"]
stored = tensors(packed)
decoded = {}
for name in stored:
    if not name.endswith(".scales"):
        continue
    base = name[: -len(".scales")]
    own = settings.get(base) or settings
    values = mx.dequantize(
        mx.array(stored[base + ".weight"]),
        mx.array(stored[name].astype(np.float32)),
        mx.array(stored[base + ".biases"].astype(np.float32)),
        group_size=own["group_size"],
        bits=own["bits"],
    )
    decoded[base + ".weight"] = np.array(values)
report("mlx", decoded, dense, 1e-6)  # its products and sums may be fused
