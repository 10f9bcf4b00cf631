"""bitsandbytes NF4, decoded by the library itself. See packed_layers.py."""
import sys

from packed_layers import need, report, tensors

torch = need("torch")
functional = need("bitsandbytes.functional")
packed, dense = sys.argv[1:3]
stored = tensors(packed, "pt")
decoded = {}
for name in stored:
    if not name.endswith(".absmax"):
        continue
    weight = name[: -len(".absmax")]
    parts = {key[len(weight) + 1 :]: value for key, value in stored.items() if key.startswith(weight + ".")}
    state = functional.QuantState.from_dict(parts, device=torch.device("cpu"))
    state.dtype = torch.float32
    decoded[weight] = functional.dequantize_4bit(stored[weight], state).float().numpy()
report("bitsandbytes", decoded, dense, 1e-6)
