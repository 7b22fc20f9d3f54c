"""Structural diff of plain data: where two values differ, by dotted path, with the value on each side."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any


class _Nothing:
    """The placeholder where one of the two has no value."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()
Difference = tuple[str, Any, Any]  # dotted path, the value on each side


def differences(a: Any, b: Any, path: str = "", tolerance: float = 0.0) -> Iterator[Difference]:
    """Each leaf in which `a` and `b` differ, by key; floats may be `tolerance` apart, and 1 is neither 1.0 nor true."""
    items = [value for value in (a, b) if isinstance(value, Mapping | list) and value]
    if items and all(type(value) is type(items[0]) for value in (a, b) if value is not NOTHING):
        for below, one, other in _pairs(a, b, path):
            yield from differences(one, other, below, tolerance)
    elif isinstance(a, float) and isinstance(b, float) and abs(a - b) <= tolerance:
        return
    elif type(a) is not type(b) or a != b:
        yield path, a, b


def _pairs(a: Any, b: Any, path: str) -> Iterator[Difference]:
    """The items of two lists or two mappings, one of which may be nothing."""
    a, b = (type(b if a is NOTHING else a)() if value is NOTHING else value for value in (a, b))
    if isinstance(a, list):
        pairs = enumerate(zip_longest(a, b, fillvalue=NOTHING))
        return ((f"{path}[{place}]", one, other) for place, (one, other) in pairs)
    keys = sorted(a.keys() | b.keys())
    return ((f"{path}.{key}" if path else str(key), a.get(key, NOTHING), b.get(key, NOTHING)) for key in keys)


def keys_apart(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """The keys under which two mappings do not hold the same, sorted."""
    return sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))


def first_difference(recorded: Any, computed: Any, path: str = "", tolerance: float = 0.0) -> str | None:
    """The first of the `differences` as a line; None where there is none."""
    for where, a, b in differences(recorded, computed, path, tolerance):
        return f"{where}: {sides(*(repr(v) if str(a) == str(b) or v == '' else str(v) for v in (a, b)))}"
    return None


def sides(recorded: str, computed: str) -> str:
    """Two texts side by side, of long ones the part from shortly before they differ."""
    same = next((n for n, (a, b) in enumerate(zip_longest(recorded, computed)) if a != b), 0)
    start = same - 20 if same > 60 else 0
    a, b = (f"{'...' * bool(start)}{text[start : start + 80]}" for text in (recorded, computed))
    return f"{a} is recorded, {b} was made"
