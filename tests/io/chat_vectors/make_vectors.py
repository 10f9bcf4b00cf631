#!/usr/bin/env python3
"""Renders every chat template with PyPI's jinja2 as transformers sets it up, and writes what came out.

    python3 make_vectors.py TEMPLATES_FOLDER > vectors.json

One entry per (template, conversation): the SHA-256 and the length of the text, or null where jinja2 refuses.
"""
import datetime
import hashlib
import json
import pathlib
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2025, 3, 7, 16, 5, 9)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather <now> in a \"city\" & around it: é, 天气",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Name of the city"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "Unit"},
                "days": {"type": "integer", "description": "How many days", "default": 1},
                "tags": {"type": "array", "items": {"type": "string"}, "description": "Tags"},
            },
            "required": ["city"],
        },
    },
}
TALK = [
    {"role": "system", "content": "  You are terse. "},
    {"role": "user", "content": "What is 2 + 2?\n"},
    {"role": "assistant", "content": "<think>\nadd\n</think>\n\nIt's \"4\"."},
    {"role": "user", "content": " And in Größe 三? <b>&amp;</b>"},
]
CALL = {"id": "abcdef123", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Köln", "days": 2}}}
USE = [
    {"role": "system", "content": "Use the tools."},
    {"role": "user", "content": "Weather in Köln?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "abcdef123", "name": "get_weather", "content": "{\"sky\": \"clear\", \"temp\": 12.5}"},
    {"role": "assistant", "content": "Clear, 12.5 degrees."},
    {"role": "user", "content": "Thanks."},
]
CASES = {
    "talk": {"messages": TALK, "add_generation_prompt": False},
    "prompt": {"messages": TALK, "add_generation_prompt": True},
    "user": {"messages": TALK[1:2], "add_generation_prompt": True},
    "alternating": {"messages": TALK[1:], "add_generation_prompt": True},
    "thinking": {"messages": TALK, "add_generation_prompt": True, "enable_thinking": False},
    "functions": {"messages": TALK, "add_generation_prompt": True, "functions": "[]", "datetime": "today"},
    "tools": {"messages": TALK, "add_generation_prompt": True, "tools": [WEATHER]},
    "use": {"messages": USE, "add_generation_prompt": True, "tools": [WEATHER]},
}


class Generation(jinja2.ext.Extension):
    """{% generation %} marks what the assistant wrote; the text is the same without it."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def render(text, case):
    given = {"tools": None, "documents": None, "bos_token": "<s>", "eos_token": "</s>", **case}
    return environment().from_string(text).render(**given)


def main():
    folder = pathlib.Path(sys.argv[1])
    vectors = {}
    for path in sorted(folder.glob("*.jinja")):
        text = path.read_text(encoding="utf-8")
        out = vectors[path.name] = {}
        for name, case in CASES.items():
            try:
                result = render(text, case).encode()
                out[name] = [hashlib.sha256(result).hexdigest(), len(result)]
                if len(sys.argv) > 2:  # the texts themselves, to compare by eye
                    (pathlib.Path(sys.argv[2]) / f"{path.stem}.{name}").write_bytes(result)
            except Exception as error:  # whatever jinja2 or Python raises is a refusal
                out[name] = None
                print(path.name, name, error, file=sys.stderr)
    json.dump({"cases": CASES, "vectors": vectors}, sys.stdout, ensure_ascii=False, indent=0)


main()
