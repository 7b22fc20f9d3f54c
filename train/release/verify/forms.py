"""Forms of records: which keys they have and of what type their values are, for what no other record tells.

A form is a type or several, `object` for anything, a pattern, [the form of each], {key: form} of exactly these keys,
where one that ends in "?" may be absent, or {str: form} of any keys.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

LONGEST = 300  # characters of a text
HEX = re.compile("[0-9a-f]{64}")
MANIFEST = {
    "stage": str, "config": object, "code": {str: HEX}, "inputs": {str: {"key": HEX, "products": HEX}}, "key": HEX,
    "products": {str: {"sha256": HEX, "bytes": int}},
}  # of an artifact  # fmt: skip


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
