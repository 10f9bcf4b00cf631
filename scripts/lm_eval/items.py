"""items.py DATA FOLDER: items of the folder of task files as the harness's own task definitions read them.

Each task becomes FOLDER/NAME.jsonl and a definition pith_NAME that includes the harness's and changes nothing but where
the items are."""
import json
import os
import sys

import lm_eval

data, folder = map(os.path.abspath, sys.argv[1:])
definitions = os.path.join(os.path.dirname(lm_eval.__file__), "tasks")


def lines(name):
    with open(os.path.join(data, name), encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def lambada():
    return lines("lambada_test.jsonl")


def piqa():
    for r in lines("foundry/commonsense_reasoning/piqa.jsonl"):
        goal = r["query"].removeprefix("Question: ").removesuffix("\n")
        yield {"goal": goal, "sol1": r["choices"][0], "sol2": r["choices"][1], "label": r["gold"]}


def arc(part):
    for r in lines(f"foundry/world_knowledge/arc_{part}.jsonl"):
        labels = [str(i) for i in range(len(r["choices"]))]
        yield {"question": r["query"].removeprefix("Question: "), "choices": {"text": r["choices"], "label": labels},
               "answerKey": str(r["gold"])}


def winogrande():
    for r in lines("foundry/language_understanding/winogrande.jsonl"):
        first, second = r["context_options"]
        start = first.rfind(" ", 0, len(os.path.commonprefix([first, second]))) + 1
        yield {"sentence": first[:start] + "_ " + r["continuation"], "option1": first[start:], "option2": second[start:],
               "answer": str(r["gold"] + 1)}


def hellaswag():
    with open(os.path.join(data, "hellaswag_val_full.txt"), encoding="utf-8") as f:
        text = f.read().split("\n")
    for i in range(0, len(text) - 5, 6):
        activity, _, context = text[i].partition(": ")
        # The file does not say where the sentence to be completed begins, so none of it is given a capital.
        yield {"activity_label": activity, "ctx_a": context, "ctx_b": "", "label": text[i + 1],
               "endings": text[i + 2 : i + 6]}


SETS = {
    "lambada": ("lambada/lambada_openai.yaml", "test", lambada),
    "piqa": ("piqa/piqa.yaml", "validation", piqa),
    "arc_easy": ("arc/arc_easy.yaml", "test", lambda: arc("easy")),
    "arc_challenge": ("arc/arc_challenge.yaml", "test", lambda: arc("challenge")),
    "winogrande": ("winogrande/default.yaml", "validation", winogrande),
    "hellaswag": ("hellaswag/hellaswag.yaml", "validation", hellaswag),
}
for name, (definition, split, items) in SETS.items():
    file = os.path.join(folder, name + ".jsonl")
    with open(file, "w", encoding="utf-8") as f:
        for item in items():
            f.write(json.dumps(item, ensure_ascii=False) + "\n")
    task = {
        "include": os.path.join(definitions, definition), "task": "pith_" + name, "tag": None,
        "dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": {split: file}},
        "training_split": None, "validation_split": None, "test_split": None, split + "_split": split,
    }
    with open(os.path.join(folder, name + ".yaml"), "w", encoding="utf-8") as f:
        json.dump(task, f, indent=1)  # which is YAML, too
