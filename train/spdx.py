"""SPDX licence expressions: how they are spelled, which licences they name, and whether an allow-list covers them."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from license_expression import LicenseSymbol, Licensing, get_spdx_licensing

from train.errors import did_you_mean

NOASSERTION = "NOASSERTION"  # nothing is claimed
UNFILLED = "LicenseRef-TODO"  # a template's: to be replaced before anything is trained


@cache
def _spdx() -> Licensing:
    return Licensing([*get_spdx_licensing().known_symbols.values(), LicenseSymbol(UNFILLED)])


@cache
def listed() -> dict[str, str]:
    """Every identifier of the SPDX list and its exceptions: in small letters -> as it is spelled."""
    return {key.lower(): key for key in _spdx().known_symbols}


@cache
def parsed(expression: str) -> Any:
    """The tree of an expression; ValueError when it is none."""
    try:
        tree = _spdx().parse(expression, validate=True, strict=True)
    except Exception as error:  # the library raises its own, and on odd words whatever it meets
        hint = did_you_mean(expression, sorted(listed().values()))
        raise ValueError(f"expected an SPDX expression, got {expression!r} ({error}){hint}") from None
    if tree is None:
        raise ValueError("expected an SPDX expression, got an empty one")
    return tree


def check_spelling(expression: str) -> None:
    """ValueError unless `expression` is an SPDX licence expression in its usual spelling."""
    if (usual := str(parsed(expression))) != expression:
        raise ValueError(f"expected the spelling {usual!r}, got {expression!r}")


@cache
def identifiers(expression: str) -> tuple[str, ...]:
    """The identifiers in an expression, those of exceptions and unknown ones among them, sorted."""
    return tuple(sorted(set(_spdx().license_keys(expression))))


def check_text(text: bytes) -> None:
    """ValueError unless a file that is to tell a licence is a text with some word in it."""
    if b"\0" in text:
        raise ValueError("is no text, for it holds a byte of zero")
    if not re.search(r"\w", text.decode(errors="ignore")):
        raise ValueError("is empty, or has no word")


def covered(expression: str, accepts: Callable[[str], bool]) -> bool:
    """Whether `accepts` takes both sides of AND, one of OR, `X WITH exception` as a whole; ValueError if it is none."""

    def within(node: Any) -> bool:
        kinds = {"AND": all, "OR": any}
        kind = kinds.get(type(node).__name__)
        return kind(map(within, node.args)) if kind else accepts(str(node))

    return within(parsed(expression))


def not_allowed(expression: str, allowed: Iterable[str]) -> str | None:
    """Why the allow-list does not cover an expression; None if it does."""
    names = set(allowed)
    try:
        inside = covered(expression, names.__contains__)
    except ValueError as error:
        return str(error)
    return None if inside else f"'{expression}' is not among {', '.join(sorted(names))}"


@cache
def _usual(text: str) -> str:
    """An SPDX expression as it is usually spelled. What only resembles one ("GPL") stands for nothing."""
    try:
        usual = str(parsed(text))
    except ValueError:
        return NOASSERTION
    return usual if usual.lower() == text.lower() else NOASSERTION


def of_row(text: str, names: Mapping[str, str]) -> str:
    """The expression that a row's words stand for: `names` has it, or they are one; else NOASSERTION."""
    return names.get(text) or _usual(text.strip())
