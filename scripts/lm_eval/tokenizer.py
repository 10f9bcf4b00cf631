"""tokenizer.py MODEL.gguf FOLDER: the model's tokenizer as transformers reads it, for the harness's local-completions."""
import os
import sys

from transformers import AutoTokenizer

model, folder = sys.argv[1:]
AutoTokenizer.from_pretrained(os.path.dirname(model), gguf_file=os.path.basename(model)).save_pretrained(folder)
