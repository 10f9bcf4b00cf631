"""A merged PEFT adapter: python check_lora.py BASE ADAPTER MERGED, where

    pith convert BASE --lora ADAPTER --to hf --format f32 -o MERGED
"""
import sys

from packed_layers import need, report

torch = need("torch")
transformers = need("transformers")
peft = need("peft")
base, adapter, merged = sys.argv[1:4]
model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
model = peft.PeftModel.from_pretrained(model, adapter).merge_and_unload()
decoded = {
    name + ".weight": module.weight.detach().numpy()
    for name, module in model.named_modules()
    if isinstance(module, torch.nn.Linear) and name != "lm_head"
}
report("lora", decoded, merged, 1e-6)
