"""The other direction: packs a dense folder with the library that owns the layout, for pith to open.

    python pack_by_library.py LAYOUT DENSE PACKED      LAYOUT: mlx, bnb, compressed_tensors
    pith convert PACKED --to hf --format f32 -o WIDE && python check_LAYOUT.py PACKED WIDE
"""
import json
import os
import shutil
import sys

import numpy as np
from packed_layers import config, need, tensors
from safetensors.torch import save_file

torch = need("torch")


def linears(stored):
    return [n for n, t in stored.items() if n.endswith("_proj.weight") and t.ndim == 2 and t.shape[1] % 64 == 0]


def by_mlx(stored, settings):
    mx = need("mlx.core")
    for name in linears(stored):
        base = name[: -len(".weight")]
        codes, scales, biases = mx.quantize(mx.array(stored[name].numpy()).astype(mx.float16), group_size=64, bits=4)
        stored[name] = torch.from_numpy(np.array(codes)).view(torch.uint32)
        stored[base + ".scales"] = torch.from_numpy(np.array(scales))
        stored[base + ".biases"] = torch.from_numpy(np.array(biases))
    settings["quantization"] = settings["quantization_config"] = {"group_size": 64, "bits": 4, "mode": "affine"}


def by_bnb(stored, settings):
    functional = need("bitsandbytes.functional")
    for name in linears(stored):
        codes, state = functional.quantize_4bit(
            stored[name].half(), blocksize=64, compress_statistics=True, quant_type="nf4"
        )
        stored[name] = codes
        for key, value in state.as_dict(packed=True).items():
            stored[f"{name}.{key}"] = value
    settings["quantization_config"] = {
        "quant_method": "bitsandbytes",
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
    }


def by_compressed_tensors(stored, settings):
    library = need("compressed_tensors.compressors")
    quantization = need("compressed_tensors.quantization")
    weights = {"num_bits": 4, "type": "int", "symmetric": False, "strategy": "group", "group_size": 32}
    scheme = quantization.QuantizationScheme(targets=["Linear"], weights=weights)
    pack = library.BaseCompressor.get_value_from_registry("pack-quantized")
    for name in linears(stored):
        weight = stored.pop(name).float()
        groups = weight.reshape(weight.shape[0], -1, 32)
        low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
        scale = ((high - low) / 15).half().float()
        zero = torch.round(-8 - low / scale).clamp(-8, 7).to(torch.int8)
        parts = pack.compress({"weight": weight, "weight_scale": scale, "weight_zero_point": zero}, scheme)
        parts["weight_scale"] = parts["weight_scale"].half()
        for key, value in parts.items():
            stored[name[: -len("weight")] + key] = value
    settings["quantization_config"] = {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights, "format": "pack-quantized"}},
        "ignore": ["lm_head"],
    }


layout, dense, packed = sys.argv[1:4]
os.makedirs(packed, exist_ok=True)
for file in os.listdir(dense):
    if file.endswith(".json") and not file.endswith(".index.json"):
        shutil.copy(os.path.join(dense, file), packed)
stored, settings = tensors(dense, "pt"), config(dense)
{"mlx": by_mlx, "bnb": by_bnb, "compressed_tensors": by_compressed_tensors}[layout](stored, settings)
save_file({name: t.contiguous() for name, t in stored.items()}, os.path.join(packed, "model.safetensors"))
with open(os.path.join(packed, "config.json"), "w") as file:
    json.dump(settings, file)
