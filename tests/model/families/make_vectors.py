#!/usr/bin/env python3
"""Golden logits of tiny random models, from Hugging Face transformers in double precision.

    pip install torch 'transformers>=4.57,<5'
    python make_vectors.py [NAME ...]       # all when no name is given

writes NAME.json beside this script: config.json as transformers saves it, the tensors with the rule that makes their
values, a token sequence, and logits at some of its positions. The weights themselves are not stored: both sides make
them from the tensor's name.

Value i of a tensor:  hash = FNV-1a 64 of the name's bytes
                      u    = mix(hash + (i + 1) * 0x9E3779B97F4A7C15), the finalizer of SplitMix64
                      v    = ((u >> 52) - 2048) / 2048, in [-1, 1)
                      value = center + spread * v
Spreads are powers of two, so values are exact in f32, also after adding or subtracting 1.
"""
import json
import pathlib
import sys

import numpy as np
import torch
import transformers

HERE = pathlib.Path(__file__).parent
TOKENS = [5, 71, 32, 9, 88, 17, 64, 3, 50, 71, 32, 26, 94, 41, 7, 60]
POSITIONS = [0, 6, 15]
SIZES = dict(vocab_size=96, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0)


def sizes(**changes):
    return {**SIZES, **changes}


# One line per vector file: the configuration class, and what differs from its defaults.
FAMILIES = {
    "llama": ("LlamaConfig", sizes(tie_word_embeddings=False)),
    "qwen2": ("Qwen2Config", sizes(tie_word_embeddings=False, rope_theta=1e6)),
    "qwen2_window": ("Qwen2Config", sizes(tie_word_embeddings=True, use_sliding_window=True, sliding_window=5,
                                          max_window_layers=0)),
    "qwen3": ("Qwen3Config", sizes(tie_word_embeddings=True, head_dim=32, rope_theta=1e6)),
    "gemma2": ("Gemma2Config", sizes(head_dim=16, query_pre_attn_scalar=16, sliding_window=5,
                                     attn_logit_softcapping=3.0, final_logit_softcapping=5.0)),
    "gemma2_scalar": ("Gemma2Config", sizes(num_hidden_layers=2, head_dim=16, query_pre_attn_scalar=24,
                                            sliding_window=5)),
    "gemma3": ("Gemma3TextConfig", sizes(head_dim=32, query_pre_attn_scalar=32, sliding_window=5,
                                         rope_local_base_freq=100.0,
                                         rope_scaling={"rope_type": "linear", "factor": 8.0},
                                         layer_types=["sliding_attention", "full_attention", "sliding_attention"])),
    "phi3": ("Phi3Config", sizes(tie_word_embeddings=False, sliding_window=5)),
    "phi3_short": ("Phi3Config", sizes(
        partial_rotary_factor=0.75, original_max_position_embeddings=64, tie_word_embeddings=False,
        rope_scaling={"type": "longrope", "short_factor": [1.0, 1.25, 1.5, 1.75, 2.0, 2.5],
                      "long_factor": [1.5, 2.0, 3.0, 6.0, 9.0, 17.5]})),
    "phi3_long": ("Phi3Config", sizes(
        num_hidden_layers=2, original_max_position_embeddings=8, tie_word_embeddings=True,
        rope_scaling={"type": "longrope", "short_factor": [1.0] * 8,
                      "long_factor": [1.0, 1.5, 2.0, 3.0, 6.0, 9.0, 17.5, 33.0]})),
    "granite": ("GraniteConfig", sizes(tie_word_embeddings=True, attention_bias=True, attention_multiplier=0.125,
                                       embedding_multiplier=12.0, residual_multiplier=0.22, logits_scaling=6.0)),
    "cohere": ("CohereConfig", sizes(use_qk_norm=True, logit_scale=0.5)),
    "cohere_plain": ("CohereConfig", sizes(num_hidden_layers=2, logit_scale=0.0625)),
    "olmo2": ("Olmo2Config", sizes(tie_word_embeddings=False, rope_theta=500000.0)),
    "stablelm": ("StableLmConfig", sizes(use_qkv_bias=True, partial_rotary_factor=0.25, tie_word_embeddings=False)),
    "stablelm_parallel": ("StableLmConfig", sizes(num_hidden_layers=2, use_parallel_residual=True,
                                                  partial_rotary_factor=0.5, tie_word_embeddings=False)),
    "gpt2": ("GPT2Config", dict(vocab_size=96, n_positions=64, n_embd=64, n_layer=3, n_head=4, bos_token_id=1,
                                eos_token_id=2)),
    "gpt2_plain": ("GPT2Config", dict(vocab_size=96, n_positions=64, n_embd=64, n_layer=2, n_head=4, n_inner=96,
                                      tie_word_embeddings=False, scale_attn_weights=False, bos_token_id=1,
                                      eos_token_id=2)),
    "gptneox": ("GPTNeoXConfig", dict(vocab_size=96, hidden_size=64, intermediate_size=96, num_hidden_layers=3,
                                      num_attention_heads=4, max_position_embeddings=128, rotary_pct=0.25)),
    "gptneox_sequential": ("GPTNeoXConfig", dict(vocab_size=96, hidden_size=64, intermediate_size=96,
                                                 num_hidden_layers=2, num_attention_heads=4,
                                                 max_position_embeddings=128, rotary_pct=0.5,
                                                 rotary_emb_base=500, use_parallel_residual=False)),
    "opt": ("OPTConfig", dict(vocab_size=96, hidden_size=64, ffn_dim=96, num_hidden_layers=3, num_attention_heads=4,
                              max_position_embeddings=64, word_embed_proj_dim=64)),
    "falcon": ("FalconConfig", dict(vocab_size=96, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                                    max_position_embeddings=128)),
    "falcon_grouped": ("FalconConfig", dict(vocab_size=96, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                                            num_kv_heads=2, new_decoder_architecture=True, ffn_hidden_size=96,
                                            max_position_embeddings=128, tie_word_embeddings=False)),
    "falcon_sequential": ("FalconConfig", dict(vocab_size=96, hidden_size=64, num_hidden_layers=2,
                                               num_attention_heads=4, multi_query=False, parallel_attn=False,
                                               bias=True, ffn_hidden_size=96, max_position_embeddings=128)),
    "mixtral": ("MixtralConfig", sizes(num_hidden_layers=2, num_local_experts=4, num_experts_per_tok=2)),
    "qwen2moe": ("Qwen2MoeConfig", sizes(num_hidden_layers=2, num_experts=6, num_experts_per_tok=3,
                                         moe_intermediate_size=32, shared_expert_intermediate_size=48)),
    "qwen3moe": ("Qwen3MoeConfig", sizes(num_hidden_layers=2, head_dim=32, num_experts=6, num_experts_per_tok=3,
                                         moe_intermediate_size=32, norm_topk_prob=True, tie_word_embeddings=True)),
}


def hashed(name, shape, center, spread):
    with np.errstate(over="ignore"):
        h = np.uint64(0xCBF29CE484222325)
        for byte in name.encode():
            h = (h ^ np.uint64(byte)) * np.uint64(0x100000001B3)
        count = int(np.prod(shape))
        u = h + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        u = (u ^ (u >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        u = (u ^ (u >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        u = u ^ (u >> np.uint64(31))
    v = ((u >> np.uint64(52)).astype(np.float64) - 2048) / 2048
    return (center + spread * v).reshape(shape)


def is_norm(name):
    return "norm" in name or "ln_" in name


def rule(name, shape, plus_one):
    """center and spread: enough signal for every tensor to matter, and attention that is far from uniform."""
    if is_norm(name) and name.endswith("weight"):
        return (0 if plus_one else 1), 0.5
    if len(shape) == 1:
        return 0, 0.5
    return 0, 0.25


def make(name):
    kind, changes = FAMILIES[name]
    config = getattr(transformers, kind)(**changes)
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, torch_dtype=torch.float64,
                                                          attn_implementation="eager").double().eval()
    tied = bool(config.tie_word_embeddings)
    plus_one = "Gemma" in kind
    tensors, state = {}, {}
    for key, value in model.state_dict().items():
        if (tied and key == "lm_head.weight") or not value.is_floating_point():
            continue
        center, spread = rule(key, value.shape, plus_one)
        tensors[key] = {"shape": list(value.shape), "center": center, "spread": spread}
        state[key] = torch.from_numpy(hashed(key, tuple(value.shape), center, spread))
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    with torch.no_grad():
        logits = model(torch.tensor([TOKENS])).logits[0].double().numpy()
    assert np.isfinite(logits).all() and logits.std() > 0.05, (name, logits.std())
    config.architectures = [type(model).__name__]
    out = {
        "config": json.loads(config.to_json_string(use_diff=True)),
        "tensors": tensors,
        "tokens": TOKENS,
        "positions": POSITIONS,
        "logits": [[float(f"{x:.7g}") for x in logits[p]] for p in POSITIONS],
    }
    for key in ("transformers_version", "dtype", "torch_dtype"):
        out["config"].pop(key, None)
    lines = [f'"{k}": ' + (json.dumps(v) if k not in ("tensors", "logits") else
                           ("{\n" + ",\n".join(f" {json.dumps(a)}: {json.dumps(b)}" for a, b in v.items()) + "\n}"
                            if isinstance(v, dict) else
                            "[\n" + ",\n".join(" " + json.dumps(row) for row in v) + "\n]")) for k, v in out.items()]
    (HERE / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{name}: {len(tensors)} tensors, logits {logits.min():.3f} to {logits.max():.3f}, deviation {logits.std():.3f}")


if __name__ == "__main__":
    for family in sys.argv[1:] or FAMILIES:
        make(family)
