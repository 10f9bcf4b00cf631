#!/usr/bin/env python3
"""GPTQ in plain PyTorch, block by block on the CPU, beside pith: time, memory, and the error of what layers give.

    gptq_torch.py run MODEL TEXT --samples 32 --length 2048 [--group 128] [--out DIR]
    gptq_torch.py error MODEL OTHER... TEXT --samples 4 --length 2048

`run` rounds the linear layers of a Hugging Face Llama to asymmetric 4-bit groups (the paper's algorithm with its order
of columns, a damping of 1 %, ranges of the group when its first column comes) and writes a dense folder. `error` runs
the original over the text and says, for each folder, the mean over layers of |X W^T - X V^T|^2 / |X W^T|^2, X being
what the original's layer reads. Needs torch, transformers and safetensors.
"""
import argparse
import resource
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

LAYERS = [["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], ["self_attn.o_proj"],
          ["mlp.gate_proj", "mlp.up_proj"], ["mlp.down_proj"]]


def samples_of(tokenizer, text, count, length):
    ids = tokenizer(open(text, encoding="utf-8").read(), return_tensors="pt").input_ids[0]
    step = max(1, (len(ids) - length) // max(1, count))
    return [ids[i * step:i * step + length][None] for i in range(count)]


def submodule(block, name):
    for part in name.split("."):
        block = getattr(block, part)
    return block


class Capture(torch.nn.Module):
    """Stands for the first block: keeps what it is given."""

    def __init__(self, block):
        super().__init__()
        self.block, self.inputs, self.rest = block, [], None

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.block, name)

    def forward(self, hidden, **rest):
        self.inputs.append(hidden)
        self.rest = rest
        raise StopIteration


def block_inputs(model, samples):
    layers = model.model.layers
    first = layers[0]
    capture = layers[0] = Capture(first)
    for ids in samples:
        try:
            model(ids, use_cache=False)
        except StopIteration:
            pass
    layers[0] = first
    return capture.inputs, capture.rest


def run_block(block, hidden, rest):
    out = block(hidden, **rest)
    return out[0] if isinstance(out, tuple) else out


def gptq(weight, hessian, group, block_size=128):
    w, h = weight.clone(), hessian
    dead = torch.diag(h) == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    order = torch.argsort(torch.diag(h), descending=True)
    # Ranges of groups as they lie; columns in the order of their inputs.
    lows = torch.stack([w[:, g:g + group].amin(1).clamp(max=0) for g in range(0, w.shape[1], group)], 1)
    highs = torch.stack([w[:, g:g + group].amax(1).clamp(min=0) for g in range(0, w.shape[1], group)], 1)
    scales = ((highs - lows) / 15).clamp(min=1e-10)
    zeros = torch.round(-lows / scales)
    w, h = w[:, order], h[order][:, order]
    h += 0.01 * torch.diag(h).mean() * torch.eye(len(h))
    inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
    out = torch.zeros_like(w)
    for begin in range(0, w.shape[1], block_size):
        end = min(begin + block_size, w.shape[1])
        part, errors = w[:, begin:end].clone(), torch.zeros(w.shape[0], end - begin)
        for i in range(end - begin):
            g = order[begin + i] // group
            s, z = scales[:, g], zeros[:, g]
            q = (torch.clamp(torch.round(part[:, i] / s) + z, 0, 15) - z) * s
            out[:, begin + i] = q
            e = (part[:, i] - q) / inverse[begin + i, begin + i]
            part[:, i:] -= e[:, None] * inverse[begin + i, begin + i:end][None]
            errors[:, i] = e
        w[:, end:] -= errors @ inverse[begin:end, end:]
    back = torch.argsort(order)
    return out[:, back]


@torch.no_grad()
def run(args):
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    samples = samples_of(tokenizer, args.text, args.samples, args.length)
    start = time.time()
    hidden, rest = block_inputs(model, samples)
    for block in model.model.layers:
        for names in LAYERS:
            moments = {}

            def see(name):
                def hook(_, inputs):
                    x = inputs[0].reshape(-1, inputs[0].shape[-1])
                    moments[name] = moments.get(name, 0) + x.T @ x
                return hook

            handles = [submodule(block, names[0]).register_forward_pre_hook(see(names[0]))]  # they read the same
            for x in hidden:
                run_block(block, x, rest)
            for handle in handles:
                handle.remove()
            for name in names:
                layer = submodule(block, name)
                layer.weight.copy_(gptq(layer.weight, moments[names[0]].clone(), args.group))
        hidden = [run_block(block, x, rest) for x in hidden]
    print(f"{time.time() - start:.1f} s, {args.samples} x {args.length} tokens, {torch.get_num_threads()} threads, "
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB at most")
    if args.out:
        model.save_pretrained(args.out)
        tokenizer.save_pretrained(args.out)


@torch.no_grad()
def error(args):
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    models = [AutoModelForCausalLM.from_pretrained(p, dtype=torch.float32) for p in [args.model] + args.others]
    hidden, rest = block_inputs(models[0], samples_of(tokenizer, args.text, args.samples, args.length))
    sums, count = [0.0] * len(args.others), 0
    for index, block in enumerate(models[0].model.layers):
        seen = {}
        names = [n for part in LAYERS for n in part]
        handles = [submodule(block, n).register_forward_pre_hook(
            lambda _, inputs, n=n: seen.setdefault(n, []).append(inputs[0].reshape(-1, inputs[0].shape[-1])))
            for n in names]
        hidden = [run_block(block, x, rest) for x in hidden]
        for handle in handles:
            handle.remove()
        for n in names:
            x, w = torch.cat(seen[n]), submodule(block, n).weight
            whole = (x @ w.T).square().sum()
            for k, other in enumerate(models[1:]):
                sums[k] += float((x @ (submodule(other.model.layers[index], n).weight - w).T).square().sum() / whole)
            count += 1
    for name, total in zip(args.others, sums):
        print(f"{name}: mean relative error of {count} layers' outputs {total / count:.5f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(required=True)
    for name, action in (("run", run), ("error", error)):
        p = sub.add_parser(name)
        p.set_defaults(action=action)
        p.add_argument("model")
        if action is error:
            p.add_argument("others", nargs="+")
        p.add_argument("text")
        p.add_argument("--samples", type=int, default=32)
        p.add_argument("--length", type=int, default=2048)
        p.add_argument("--group", type=int, default=128)
        p.add_argument("--out")
    args = parser.parse_args()
    args.action(args)


main()
