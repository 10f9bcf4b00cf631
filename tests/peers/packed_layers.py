"""What the check_*.py scripts share: a packed folder, and the same model as pith widened it to float32.

    pith convert PACKED --to hf --format f32 -o DENSE
    python check_gptq.py PACKED DENSE

Each script decodes PACKED by itself (or with the library that owns the layout) and compares with DENSE. It prints
"LAYOUT: N layers agree" and exits 0, or names the first layer that differs and exits 1; 77 when a library is absent.
"""
import glob
import importlib
import json
import os
import sys

import numpy as np
from safetensors import safe_open


def need(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"skipped: no Python package {name}")
        sys.exit(77)


def tensors(folder, framework="np"):
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.safetensors"))):
        with safe_open(path, framework) as file:
            for name in file.keys():
                found[name] = file.get_tensor(name)
    return found


def config(folder):
    with open(os.path.join(folder, "config.json")) as file:
        return json.load(file)


def bits_of(words, bits, axis):
    """Codes of a little-endian stream in 32-bit words along an axis."""
    lines = np.moveaxis(words, axis, -1)
    lines = np.ascontiguousarray(lines).view(np.uint8)
    single = np.unpackbits(lines, axis=-1, bitorder="little")
    codes = single.reshape(*single.shape[:-1], -1, bits) if single.shape[-1] % bits == 0 else None
    weights = 1 << np.arange(bits)
    return np.moveaxis((codes * weights).sum(axis=-1).astype(np.int64), -1, axis)


def report(layout, decoded, dense_folder, tolerance=0.0):
    dense = tensors(dense_folder)
    if not decoded:
        print(f"{layout}: no packed layer found")
        sys.exit(1)
    for name, value in decoded.items():
        ours = dense[name].astype(np.float64)
        worst = np.abs(ours - np.asarray(value, np.float64)).max()
        if ours.shape != np.asarray(value).shape or not worst <= tolerance * np.abs(ours).max():
            print(f"{layout}: {name} differs by {worst} (largest value {np.abs(ours).max()})")
            sys.exit(1)
    print(f"{layout}: {len(decoded)} layers agree")
