"""From a plain mapping to frozen dataclasses: every problem at once, each with its dotted path."""

import dataclasses
import math
import operator
import re
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

from train.artifact import read_json
from train.errors import ConfigError, UserError, did_you_mean

T = TypeVar("T")
UNWRITABLE = re.compile("[\0\ud800-\udfff]")  # in no file or name: half letters, as of bytes that are no UTF-8
Count = Annotated[int, Ge(1)]
Natural = Annotated[int, Ge(0)]
Positive = Annotated[float, Gt(0)]
Share = Annotated[float, Ge(0), Le(1)]

# What the constraints of a type ask for, and how several of them are told together.
LIMITS: dict[type, tuple[Callable[[Any, Any], bool], str]] = {
    Ge: (operator.ge, "at least {}"),
    Gt: (operator.gt, "above {}"),
    Le: (operator.le, "at most {}"),
    Lt: (operator.lt, "below {}"),
    MinLen: (lambda value, least: len(value) >= least, "a length of at least {}"),
    MaxLen: (lambda value, most: len(value) <= most, "a length of at most {}"),
}
NAMES: dict[Any, str] = {tuple: "list", list: "list", dict: "mapping", Path: "path"}
TOGETHER: dict[tuple[type, ...], str] = {(Ge, Le): "{} to {}", (Gt, Lt): "between {} and {}"}


def build(cls: type[T], mapping: object) -> T:
    """Build the frozen dataclass `cls` from plain data, as read from YAML.

    Fields may be bool, int, float, str, Path, Literal, `X | None`, `tuple[X, ...]`, `dict[str, X]`, any of these
    Annotated with the constraints in LIMITS, other dataclasses, and unions of dataclasses told apart by their Literal
    field `kind`. There are no defaults: every key must be given. What a type cannot say, such as how two fields go
    together, belongs in `__post_init__` and raises ValueError.

    Raises ConfigError, which names every unknown, missing and mistyped key and every broken invariant.
    """
    problems: list[str] = []
    value: T = _value(cls, mapping, "", problems)
    if problems:
        raise ConfigError(problems)
    return value


def read(kind: type[T], path: Path) -> T:
    """The record in a file of JSON, or the list or mapping of records; UserError names the file and what is wrong."""
    try:
        return build(kind, read_json(path))
    except ConfigError as error:
        raise UserError(f"{path}: {'; '.join(error.problems[:3])}") from None


def plain(value: Any) -> Any:
    """The inverse of `build`: dataclasses become mappings, tuples lists, paths strings."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def strings(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every string in plain data, with the names and numbers that lead to it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping | list):
        for name, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from strings(item, (*path, name))


def part_of(cls: type[T], config: Any) -> T:
    """Those settings of a larger dataclass that are the fields of `cls`."""
    return cls(**{field.name: getattr(config, field.name) for field in dataclasses.fields(cls)})  # type: ignore[arg-type]


def check_name(name: str) -> None:
    """ValueError unless `name` can be that of a folder, a file and a repository: no path, nothing hidden."""
    if not re.fullmatch(r"[^\W_]([\w.-]{0,98}[^\W_])?", name):
        raise ValueError(f"name: expected letters and digits, also with _ - . between them, got {name!r}")


def limits(constraints: tuple[Any, ...]) -> str:
    """The constraints of an Annotated type in words."""
    bounds = [dataclasses.astuple(constraint)[0] for constraint in constraints]
    if together := TOGETHER.get(tuple(type(constraint) for constraint in constraints)):
        return together.format(*bounds)
    words = (LIMITS[type(constraint)][1] for constraint in constraints)
    return " and ".join(word.format(bound) for word, bound in zip(words, bounds, strict=True))


def _value(kind: Any, plain: Any, path: str, problems: list[str], null: str = "") -> Any:
    def wrong(expected: str) -> None:
        problems.append(f"{path or 'config'}: expected {null}{expected}, got {plain!r}")

    origin, arguments = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, plain, path, problems)
    if kind is Any:
        return plain
    if origin in (Union, types.UnionType):
        return _union(arguments, plain, path, problems)
    if origin is Annotated:
        before, value = len(problems), _value(arguments[0], plain, path, problems, null)
        if len(problems) == before and not all(
            LIMITS[type(limit)][0](value, dataclasses.astuple(limit)[0]) for limit in kind.__metadata__
        ):
            problems.append(f"{path}: expected {null}{limits(kind.__metadata__)}, got {value!r}")
        return value
    if kind in (str, Path) and isinstance(plain, str) and (match := UNWRITABLE.search(plain)):
        return wrong(f"text without {match[0]!r}")
    if isinstance(plain, int) and abs(plain) >= 2**63:  # which no array holds
        return wrong("number below 2^63")
    if origin is Literal:
        if plain in arguments and type(plain) in {type(a) for a in arguments}:
            return plain
        wrong("one of " + ", ".join(repr(a) for a in arguments))
        if isinstance(plain, str):
            problems[-1] += did_you_mean(plain, [a for a in arguments if isinstance(a, str)])
        return None
    if origin in (tuple, list) and isinstance(plain, list | tuple):
        return origin(_value(arguments[0], item, f"{path}[{i}]", problems) for i, item in enumerate(plain))
    if origin is dict and isinstance(plain, Mapping) and all(isinstance(key, str) for key in plain):
        return {key: _value(arguments[1], item, _join(path, key), problems) for key, item in plain.items()}
    number = isinstance(plain, int | float) and not isinstance(plain, bool)
    if (kind is Path and isinstance(plain, str) and plain) or (kind is float and number and math.isfinite(plain)):
        return kind(plain)
    if origin is None and isinstance(plain, kind) and kind not in (float, Path) and (kind is not int or number):
        return plain
    wrong("finite float" if kind is float and number else NAMES.get(origin or kind) or kind.__name__)
    if kind is str and (number or isinstance(plain, bool)):
        problems[-1] += "; put it in quotes"
    return None


def _union(arguments: tuple[Any, ...], value: Any, path: str, problems: list[str]) -> Any:
    if value is None and type(None) in arguments:
        return None
    kinds = [a for a in arguments if a is not type(None)]
    if len(kinds) == 1:
        return _value(kinds[0], value, path, problems, "null or " if len(arguments) > 1 else "")
    by_name = {get_args(get_type_hints(kind)["kind"])[0]: kind for kind in kinds}
    name = value.get("kind") if isinstance(value, Mapping) else None
    if isinstance(name, str) and name in by_name:
        return _value(by_name[name], value, path, problems)
    allowed = ", ".join(repr(n) for n in by_name)
    problems.append(f"{_join(path, 'kind')}: expected one of {allowed}, got {name!r}")
    return None


def _dataclass(cls: type, mapping: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(mapping, Mapping):
        problems.append(f"{path or 'config'}: expected mapping, got {mapping!r}")
        return None
    fields = get_type_hints(cls, include_extras=True)
    before = len(problems)
    for key in mapping:
        if key not in fields:
            hint = did_you_mean(str(key), [name for name in fields if name not in mapping])
            problems.append(f"{path or 'config'}: unknown key '{key}'{hint}")
    values = {}
    for name, kind in fields.items():
        if name in mapping:
            values[name] = _value(kind, mapping[name], _join(path, name), problems)
        else:
            problems.append(f"{_join(path, name)}: missing")
    if len(problems) > before:
        return None
    try:
        return cls(**values)
    except ValueError as error:
        named = re.match(r"(\w+)[:.\[]", str(error))  # the message begins with the field that it is about
        problems.append(_join(path, str(error)) if named and named[1] in fields else f"{path or 'config'}: {error}")
        return None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
