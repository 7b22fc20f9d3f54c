"""Forms of records: which keys they have and of what type their values are, as `forms.toml` spells it.

A form is a type or several, `object` for anything, a pattern, [the form of each], {key: form} of exactly these keys,
where one that ends in "?" may be absent, or {str: form} of any keys.
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
    "anything": object, "text": str, "whole": int, "number": float, "truth": bool, "null": type(None), "list": list,
    "mapping": dict, "numbers": {str: float}, "sha256": re.compile("[0-9a-f]{64}"),
    "commit": re.compile("[0-9a-f]{40,64}"), "moment": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "place": re.compile("folder|mirror"), "algorithm": re.compile("SHA-256"), "expression": {"expression": str},
    "name": {"license": {"name": str}}, "unreadable": re.compile(re.escape(UNREADABLE)),
}  # fmt: skip


def spelt(form: Any) -> Any:
    """The form that a table of `forms.toml` spells."""
    if isinstance(form, str):
        kinds = tuple(WORDS[word] for word in form.split(" or "))
        return kinds if len(kinds) > 1 else kinds[0]
    if isinstance(form, list):
        return [spelt(form[0])]
    return {str if key == "*" else key: spelt(each) for key, each in form.items()}


FORMS = spelt(tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")))
FORMS["stack.json"] |= {"earlier": [dict(FORMS["stack.json"])]}


def unformed(form: Any, value: Any, place: str = "") -> Iterator[str]:
    """Where `value` has another form. Numbers are finite and not negative, texts are short and in one line."""
    if form is object:
        return
    if isinstance(form, tuple):
        if all(any(unformed(each, value)) for each in form):
            yield f"{place}: {str(value)[:80]!r} is none of what stands there"
    elif isinstance(form, list) and isinstance(value, list):
        for number, each in enumerate(value):
            yield from unformed(form[0], each, f"{place}[{number}]")
    elif isinstance(form, dict) and isinstance(value, dict):
        known = dict.fromkeys(value, form[str]) if str in form else {key.rstrip("?"): form[key] for key in form}
        needed = () if str in form else (key for key in form if not key.endswith("?"))
        yield from (f"{place}.{key}: nothing writes this".lstrip(".") for key in value if key not in known)
        yield from (f"{place}.{key}: missing".lstrip(".") for key in needed if key not in value)
        for key in value.keys() & known.keys():
            yield from unformed(str, key, place)
            yield from unformed(known[key], value[key], f"{place}.{key}".lstrip("."))
    elif not _single(form, value):
        yield f"{place}: {str(value)[:80]!r} is not what stands there"


def _single(form: Any, value: Any) -> bool:
    if isinstance(form, re.Pattern):
        return isinstance(value, str) and bool(form.fullmatch(value))
    if isinstance(form, list | dict) or type(value) is not form:
        return False
    if isinstance(value, str):
        return len(value) <= LONGEST and value.isprintable()
    return not isinstance(value, int | float) or (math.isfinite(value) and value >= 0)
