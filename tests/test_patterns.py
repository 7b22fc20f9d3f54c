"""Every pattern of the library takes linear time, whatever text a stranger writes.

All of them are found by a walk over the sources; hostile texts repeat parts of what each pattern itself asks for.
"""

import ast
import importlib
import random
import re
import time
from collections.abc import Iterator
from re import _compiler, _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from tests.conftest import ROOT

METHODS = "match|fullmatch|search|sub|subn|split|findall|finditer"
SOURCES = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "train").rglob("*.py"))}
SIGNS = "a1 -:.=#/|*`\\<[({\n\t\"'~@%ÀЖ中。"
TEXTS = 60  # for each pattern
GROWTH = 2.5  # in time, at most, for each doubling: a quadratic one takes 4 times as long


def patterns() -> Iterator[tuple[str, str, re.Pattern]]:
    """Name, the method that it is used by, and pattern: globals of modules, and those that stand in a call."""
    every = "\n".join(SOURCES.values())
    for path, text in SOURCES.items():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for name, value in vars(importlib.import_module(module)).items():
            if isinstance(value, re.Pattern) and re.search(rf"(?m)^{name}\b", text):
                for method in sorted(set(re.findall(rf"\b{name}\.({METHODS})\(", every)) or {"search"}):
                    yield f"{module}.{name}", method, value
            if isinstance(value, dict) and name == "PATTERNS":
                yield from ((f"{module}.{key}", "search", re.compile(each)) for key, each in value.items())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and re.fullmatch(rf"re\.({METHODS})", ast.unparse(node.func)):
                flags = re.search(r"re\.(DOTALL|MULTILINE|IGNORECASE)", ast.unparse(node))
                if isinstance(node.args[0], ast.Constant):
                    pattern = re.compile(node.args[0].value, getattr(re, flags[1]) if flags else 0)
                    yield f"{module}:{node.lineno}", ast.unparse(node.func)[3:], pattern


PATTERNS = list(patterns())


def sample(parsed: Any, draw: random.Random) -> str:
    """A short text that a parsed pattern may match, what it says of the text around apart."""
    return "".join(part(parsed.state, kind, value, draw) for kind, value in parsed)


def part(state: Any, kind: Any, value: Any, draw: random.Random) -> str:
    match str(kind).removeprefix("MAX_").removeprefix("MIN_").removeprefix("POSSESSIVE_"):
        case "LITERAL":
            return chr(value)
        case "IN" | "ANY" | "NOT_LITERAL":
            fits = _compiler.compile(_parser.SubPattern(state, [(kind, value)]), state.flags).match
            return draw.choice([sign for sign in [*SIGNS, *map(chr, range(127))] if fits(sign)] or [""])
        case "REPEAT":
            return "".join(sample(value[2], draw) for _ in range(min(value[0], 60) + draw.randrange(3)))
        case "BRANCH":
            return sample(draw.choice(value[1]), draw)
        case "SUBPATTERN" | "ATOMIC_GROUP":
            return sample(value[-1] if isinstance(value, tuple) else value, draw)
    return ""


def hostile(pattern: re.Pattern) -> Iterator[tuple[str, str, str]]:
    """A beginning, what is repeated after it, and an end, all but the last sign out of what the pattern asks for."""
    draw = random.Random(0)
    parsed = _parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)
    for branch in parsed[0][1][1] if str(parsed[0][0]) == "BRANCH" else [parsed]:
        for _ in range(TEXTS):
            text = sample(branch, draw)
            a = draw.choice([0, draw.randrange(len(text) + 1)])
            b = a + draw.choice([1, draw.randrange(1, 7), draw.randrange(len(text) + 1)])
            piece = text[a:b] + draw.choice(["", "", *text])
            yield draw.choice(["", text[:a]]), piece or draw.choice(SIGNS), text[b:] * draw.randrange(2) + "\0"


def seconds(pattern: re.Pattern, method: str, text: str) -> float:
    """Of this thread alone, however loaded the machine is."""
    began = time.thread_time()
    if method in ("match", "fullmatch"):
        getattr(pattern, method)(text)
    else:
        pattern.sub("", text)
    return time.thread_time() - began


def grows(pattern: re.Pattern, method: str, parts: tuple[str, str, str], times: int = 100) -> bool:
    """Whether time grows faster than the text, from so many repetitions on; what seems so is looked at more closely."""
    begin, piece, end = parts
    short, double, long = (seconds(pattern, method, begin + piece * (times * each) + end) for each in (1, 2, 4))
    if long < GROWTH**2 * max(short, 1e-5) or double < GROWTH * short:
        return False
    return long > 0.2 or grows(pattern, method, parts, 2 * times)


@pytest.mark.parametrize(("name", "method", "pattern"), PATTERNS, ids=[f"{name}.{how}" for name, how, _ in PATTERNS])
def test_a_text_twice_as_long_takes_about_twice_as_long(name, method, pattern):
    slow = next((parts for parts in hostile(pattern) if grows(pattern, method, parts)), None)
    assert slow is None, f"{name}: the second of these repeated between the others"
