"""compressed-tensors, decompressed by the library itself. See packed_layers.py."""
import sys

from packed_layers import config, need, report, tensors

torch = need("torch")
library = need("compressed_tensors.compressors")
quantization = need("compressed_tensors.quantization")
packed, dense = sys.argv[1:3]
settings = config(packed)["quantization_config"]
stored = tensors(packed, "pt")
groups = list(settings["config_groups"].values())
decoded = {}
for name in stored:
    if not name.endswith(".weight_scale"):
        continue
    module = name[: -len(".weight_scale")]
    group = next((g for g in groups if module in g["targets"]), groups[0])
    scheme = quantization.QuantizationScheme(targets=group["targets"], weights=group["weights"])
    parts = {key[len(module) + 1 :]: value for key, value in stored.items() if key.startswith(module + ".weight")}
    parts["weight_scale"] = parts["weight_scale"].float()
    compressor = library.BaseCompressor.get_value_from_registry(group["format"])
    decoded[module + ".weight"] = compressor.decompress(parts, scheme)["weight"].float().numpy()
report("compressed-tensors", decoded, dense, 1e-6)
