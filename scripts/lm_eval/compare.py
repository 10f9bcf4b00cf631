"""compare.py OURS THEIRS...: samples of `pith eval --log-samples OURS` beside those of the harness, item by item.

Fails when prompts differ, or when fewer than 99.5 % of the items have the same choice (of tasks without choices: the
same word that every token was the likeliest)."""
import glob
import json
import os
import sys

from lm_eval.utils import make_table

BAR = 0.995


def samples(pattern):
    files = glob.glob(pattern)
    if len(files) != 1:
        sys.exit(f"expected one file {pattern}, got {len(files)}")
    with open(files[0], encoding="utf-8") as f:
        return {r["doc_id"]: r for r in map(json.loads, f)}


def requests(sample):
    return [tuple(a.values()) for a in sample["arguments"].values()]


def scores(sample):
    return [float(r[0]) for r in sample["filtered_resps"]]


def choice(sample):
    s = scores(sample)
    return sample["filtered_resps"][0][1] if len(s) == 1 else s.index(max(s))


def percent(part, whole):
    return f"{100 * part / whole:.2f} %"


ours, others = sys.argv[1], sys.argv[2:]
with open(os.path.join(ours, "results.json"), encoding="utf-8") as f:
    results = json.load(f)
print("Results of pith eval, as the harness's own code prints them:\n" + make_table(results))
failed = False
for theirs in others:
    print(f"\nAgainst {os.path.basename(theirs)}:\n"
          "| task | items | same prompts | same choice | largest difference of a log-likelihood | acc | theirs |\n"
          "|---|---:|---:|---:|---:|---:|---:|")
    for task, figures in results["results"].items():
        own = samples(os.path.join(ours, f"samples_{task}.jsonl"))
        other = samples(os.path.join(theirs, "*", f"samples_pith_{task}_*.jsonl"))
        if own.keys() != other.keys():
            sys.exit(f"{task}: the items differ")
        n = len(own)
        prompts = sum(requests(own[i]) == requests(other[i]) for i in own)
        same = sum(choice(own[i]) == choice(other[i]) for i in own)
        most = max(abs(a - b) for i in own for a, b in zip(scores(own[i]), scores(other[i]), strict=True))
        acc = sum(other[i]["acc"] for i in other) / n
        print(f"| {task} | {n} | {percent(prompts, n)} | {percent(same, n)} | {most:.2g} "
              f"| {100 * figures['acc,none']:.2f} | {100 * acc:.2f} |")
        failed |= prompts < n or same < BAR * n
if failed:
    sys.exit("Too few agree.")
