"""`pellucid config`: each key of a configuration, its meaning, allowed values and value."""

import argparse
import dataclasses
import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from train.compose import built, compose
from train.config import limits, plain
from train.errors import UserError, did_you_mean

NAMES: dict[Any, str] = {int: "integer", float: "number", str: "text", Path: "path", bool: "true or false"}


def run(args: argparse.Namespace) -> list["Setting"]:
    """A row a key: its dotted path, as overrides have it, what it means, may be, and is."""
    groups = [word for word in args.words if "=" not in word and not word.startswith("~")]
    composed = compose([word for word in args.words if word not in groups])
    from train.pipeline import Run  # only now: a wrong word is answered at once

    rows = [row for row in described(built(Run, composed)) if row.key.split(".")[0] not in ("overrides", "settings")]
    for group in groups:
        if not any(within(row.key, group) for row in rows):
            known = sorted({".".join(row.key.split(".")[:count]) for row in rows for count in range(1, 9)})
            raise UserError(f"{group}: no such group or key{did_you_mean(group, known)}")
    return [row for row in rows if not groups or any(within(row.key, group) for group in groups)]


def within(key: str, group: str) -> bool:
    return key == group or key.startswith(f"{group}.")


@dataclasses.dataclass
class Setting:
    """One key of a configuration."""

    key: str  # dotted, as overrides have it
    meaning: str  # the comment beside the field
    allowed: str  # what its type takes
    value: Any  # plain


def described(value: Any, kind: Any = None, key: str = "", meaning: str = "") -> Iterator[Setting]:
    """The settings below `key` of a value of some type: one, or those of its fields and items."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        comments = meanings(type(value))
        for name, each in get_type_hints(type(value), include_extras=True).items():
            yield from described(getattr(value, name), each, f"{key}.{name}" if key else name, comments[name])
    elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        for number, item in enumerate(value):
            yield from described(item, key=f"{key}.{number}")
    else:
        yield Setting(key, meaning, allowed(kind), plain(value))


def meanings(cls: type) -> dict[str, str]:
    """Field -> the comment beside or above it in the source of a dataclass; of `kind`, the first sentence of that."""
    comments, above = {}, ""
    for part in reversed([part for part in cls.__mro__ if dataclasses.is_dataclass(part)]):
        for line in inspect.getsource(part).splitlines():
            if field := re.match(r"    (\w+): .*?(?:  # (.*))?$", line):
                comments[field[1]] = field[2] or above.strip()
            above = f"{above} {line.strip('# ')}" if line.startswith("    # ") else ""
    if not comments.get("kind", "x"):
        comments["kind"] = re.split(r"(?<=\.)\s", inspect.getdoc(cls) or "")[0]
    return comments


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
