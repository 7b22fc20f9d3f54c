"""The verbs of the command and the arguments of each, as `verbs.toml` tells them; standard library alone."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TYPES = {"path": Path, "int": int, "float": float}


@dataclass(frozen=True)
class Verb:
    does: str
    example: str
    arguments: dict[str, dict[str, Any]]  # name, or option -> what argparse takes
    apart: tuple[str, ...] = ()  # options of which one at a time can be given
    more: str = ""
    judges: tuple[str, str] | None = None  # what the exit statuses 0 and 1 mean
    needs_tree: bool = False


def read(text: str) -> dict[str, Verb]:
    """The verbs by name."""
    tables = tomllib.loads(text)
    shared = tables.pop("shared")
    for verb in tables.values():
        options = {name: shared[name] if own is True else own for name, own in verb["arguments"].items()}
        verb["arguments"] = {name: {**own, "type": TYPES[own["type"]]} if "type" in own else own
                             for name, own in options.items()}  # fmt: skip
    return {name: Verb(**table) for name, table in tables.items()}


VERBS = read(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
