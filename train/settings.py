"""What each key of a configuration means and may be, told by the dataclass that holds it: its types and comments."""

import dataclasses
import inspect
import re
import types
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from train.config import limits


class Setting(NamedTuple):
    """One key of a configuration, as its dataclass describes it."""

    key: str  # dotted; `[]` stands for each entry of a list, `[pypi]` for each whose `kind` is that
    meaning: str  # the comment beside the field, or the first sentence about its dataclass
    allowed: str  # empty: whatever is of the type
    type: str


def described(cls: type, key: str = "", known: Container[str] = ()) -> Iterator[Setting]:
    """Every key of the dataclass `cls`, below `key`, but the `known`, in the order of its fields.

    Of several dataclasses that an entry may be, what they share comes first, then the own keys of each kind.
    """
    comments = meanings(cls)
    for name, kind in get_type_hints(cls, include_extras=True).items():
        if name in known:
            continue
        path, inner = f"{key}.{name}" if key else name, _dataclasses(kind)
        about = cls if name == "kind" else inner[0] if inner else None
        yield Setting(path, comments.get(name) or (_sentence(about) if about else ""), allowed(kind), _type_name(kind))
        listed = "[]" if _type_name(kind).startswith("list") else ""
        if len(inner) < 2:
            yield from (row for part in inner for row in described(part, path + listed))
            continue
        shared = inner[0].__mro__[1]
        yield from described(shared, path + listed)
        for part in inner:
            label = get_args(get_type_hints(part)["kind"])[0]
            yield from described(part, f"{path}[{label}]", get_type_hints(shared))


def meanings(cls: type) -> dict[str, str]:
    """Field -> the comment at the end of its line, or on the lines before it, in the source of a dataclass."""
    found, above = {}, ""
    for part in reversed([part for part in cls.__mro__ if dataclasses.is_dataclass(part)]):
        for line in inspect.getsource(part).splitlines():
            if field := re.match(r"    (\w+): .*?(?:  # (.*))?$", line):
                found[field[1]] = field[2] or above.strip()
            above = f"{above} {line.strip('# ')}" if line.startswith("    # ") else ""
    return found


def allowed(kind: Any) -> str:
    """What values of a type may be, beyond being of it; empty when there is no more to say."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return limits(kind.__metadata__) or allowed(arguments[0])
    if origin is Literal:
        return "one of " + ", ".join(repr(a) for a in arguments)
    if origin in (Union, types.UnionType):
        told = [allowed(part) for part in arguments if part is not type(None)]
        if len(told) == 1 and told[0]:
            return f"null or {told[0]}" if type(None) in arguments else told[0]
    if origin in (tuple, dict) and (each := allowed(arguments[0] if origin is tuple else arguments[1])):
        return f"each {each}"
    return ""


def _type_name(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin is Literal:
        return type(arguments[0]).__name__
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type_name(part) for part in arguments))
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return f"mapping to {_type_name(arguments[1])}"
    return {type(None): "null", Path: "path"}.get(kind, "mapping" if dataclasses.is_dataclass(kind) else kind.__name__)


def _dataclasses(kind: Any) -> list[type]:
    """The dataclasses that a value of a type may hold."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return [kind]
    return [part for argument in get_args(kind) for part in _dataclasses(argument)]


def _sentence(cls: type) -> str:
    return re.split(r"(?<=\.)\s", inspect.getdoc(cls) or "")[0]
