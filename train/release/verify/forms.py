"""Forms of records: which keys they have and of what type their values are, as `forms.toml` spells it.

A form is a word of those below or several of which one fits, [the form of each], {key: form} of exactly these keys,
where one that ends in "?" may be absent, or {"*": form} of any keys.
"""

import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.training.meters import UNREADABLE

LONGEST = 300  # characters of a text
WORDS: dict[str, Any] = {
    "text": str, "whole": int, "number": float, "truth": bool, "null": type(None), "list": list,
    "mapping": dict, "numbers": {"*": "number"}, "sha256": re.compile("[0-9a-f]{64}"),
    "commit": re.compile("[0-9a-f]{40,64}"), "moment": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "place": re.compile("folder|mirror"), "algorithm": re.compile("SHA-256"), "expression": {"expression": "text"},
    "name": {"license": {"name": "text"}}, "unreadable": re.compile(re.escape(UNREADABLE)),
}  # fmt: skip
FORMS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
FORMS["stack.json"] |= {"earlier": [dict(FORMS["stack.json"])]}


def unformed(form: Any, value: Any, place: str = "") -> Iterator[str]:
    """Where `value` has another form. Numbers are finite and not negative, texts are short and in one line."""
    if isinstance(form, list) and isinstance(value, list):
        for number, each in enumerate(value):
            yield from unformed(form[0], each, f"{place}[{number}]")
    elif isinstance(form, dict) and isinstance(value, dict):
        known = dict.fromkeys(value, form["*"]) if "*" in form else {key.rstrip("?"): form[key] for key in form}
        needed = (key for key in form if not key.endswith(("?", "*")))
        yield from (f"{place}.{key}: nothing writes this".lstrip(".") for key in value if key not in known)
        yield from (f"{place}.{key}: missing".lstrip(".") for key in needed if key not in value)
        for key in value.keys() & known.keys():
            yield from unformed("text", key, place)
            yield from unformed(known[key], value[key], f"{place}.{key}".lstrip("."))
    elif not isinstance(form, str) or not any(_fits(WORDS[word], value) for word in form.split(" or ")):
        yield f"{place}: {str(value)[:80]!r} is not what stands there"


def _fits(kind: Any, value: Any) -> bool:
    if isinstance(kind, dict):
        return not any(unformed(kind, value))
    if isinstance(kind, re.Pattern):
        return isinstance(value, str) and bool(kind.fullmatch(value))
    if isinstance(value, str):
        return kind is str and len(value) <= LONGEST and value.isprintable()
    return type(value) is kind and (not isinstance(value, int | float) or (math.isfinite(value) and value >= 0))
