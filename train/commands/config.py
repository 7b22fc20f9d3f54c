"""`pellucid config`: each key of a configuration, its meaning, allowed values and value."""

import argparse
import ast
import dataclasses
import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from train.compose import built, compose
from train.config import limits, plain
from train.errors import UserError, did_you_mean

NAMES: dict[Any, str] = {int: "integer", float: "number", str: "text", Path: "path", bool: "true or false"}


def run(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """A row a key: its dotted path, as overrides have it, what it means, may be, and is."""
    groups = [word for word in asked.words if "=" not in word and not word.startswith("~")]
    composed = compose([word for word in asked.words if word not in groups])
    from train.pipeline import Run  # only now: a wrong word is answered at once

    found = [
        row for row in rows(Run, built(Run, composed)) if row["key"].split(".")[0] not in ("overrides", "settings")
    ]
    for group in groups:
        if not any(within(row["key"], group) for row in found):
            known = sorted({prefix for row in found for prefix in prefixes(row["key"])})
            raise UserError(f"{group}: no such group or key{did_you_mean(group, known)}")
    return [row for row in found if not groups or any(within(row["key"], group) for group in groups)]


def lines(report: list[dict[str, Any]], asked: argparse.Namespace) -> Iterator[str]:
    for row in report:
        yield f"{row['key']} = {row['value']!r}"
        yield "    " + "; ".join(filter(None, [row["allowed"], row["meaning"]]))


def within(key: str, group: str) -> bool:
    return key == group or key.startswith(f"{group}.")


def prefixes(key: str) -> list[str]:
    words = key.split(".")
    return [".".join(words[: count + 1]) for count in range(len(words))]


def rows(kind: Any, value: Any, key: str = "", meaning: str = "") -> Iterator[dict[str, Any]]:
    """The rows of a value of some type: one, or those of its fields and items."""
    if dataclasses.is_dataclass(value):
        comments = meanings(type(value))
        for name, each in get_type_hints(type(value), include_extras=True).items():
            yield from rows(each, getattr(value, name), f"{key}.{name}" if key else name, comments.get(name, ""))
    elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        for number, item in enumerate(value):
            yield from rows(type(item), item, f"{key}.{number}")
    else:
        yield {"key": key, "meaning": meaning, "allowed": allowed(kind), "value": plain(value)}


def allowed(kind: Any) -> str:
    """What a type takes, for people."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return f"{allowed(arguments[0])}, {limits(kind.__metadata__)}"
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join("null" if each is type(None) else allowed(each) for each in arguments)
    if origin is tuple:
        return f"list of {allowed(arguments[0])}"
    if origin is dict:
        return f"mapping of {allowed(arguments[1])}"
    return NAMES.get(kind, getattr(kind, "__name__", str(kind)))


def meanings(cls: type) -> dict[str, str]:
    """Field -> the comment beside it, where the class and those that it builds on define it."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__[:-1]):
        source = inspect.getsource(each)
        text = source.splitlines()
        for node in ast.parse(inspect.cleandoc(source)).body[0].body:  # type: ignore[attr-defined]
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                _, mark, comment = text[(node.end_lineno or 1) - 1].rpartition("  # ")
                found[node.target.id] = comment if mark else ""
    return found
