"""reference.py MODEL.gguf FOLDER: what transformers reads of the file, as a folder in float32.

transformers' own conversion of a GGUF's tokenizer knows no rule for digits; files that say "smollm" split each digit off
before anything else, as the original tokenizer does, so the rule is put back."""
import json
import os
import sys

import torch
from gguf import GGUFReader
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

model, folder = sys.argv[1:]
where = {"pretrained_model_name_or_path": os.path.dirname(os.path.abspath(model)), "gguf_file": os.path.basename(model)}
AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
pre = GGUFReader(model).get_field("tokenizer.ggml.pre")
if pre and pre.contents() == "smollm":
    path = os.path.join(folder, "tokenizer.json")
    with open(path, encoding="utf-8") as f:
        tokenizer = json.load(f)
    digits = {"type": "Digits", "individual_digits": True}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, tokenizer["pre_tokenizer"]]}
    with open(path, "w", encoding="utf-8") as f:
        json.dump(tokenizer, f, ensure_ascii=False)

net = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
weights = {k: v.contiguous() for k, v in net.state_dict().items() if not (k == "lm_head.weight" and net.config.tie_word_embeddings)}
save_file(weights, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
config = net.config.to_dict()
config.pop("quantization_config", None)
config["architectures"] = [type(net).__name__]
with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
    json.dump(config, f, indent=1, default=str)
