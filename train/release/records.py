"""What the records of a release say, and how it is shown to people: pointers, numbers, tables, front matter."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from train.artifact import read_json
from train.config import UserError

Records = Any  # of a JSON file: whatever stands at a pointer


def record(release: Path, file: str, pointer: str = "") -> Records:
    """What stands in the release's JSON `file` at a JSON pointer (RFC 6901); UserError when nothing does."""
    value = read_json(release / file)
    for step in pointer.split("/")[1:]:
        try:
            step = step.replace("~1", "/").replace("~0", "~")
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, ValueError, TypeError):
            raise UserError(f"{file}: nothing stands at {pointer}") from None
    return value


def shown(value: Any) -> str:
    """A number as a reader wants it: thousands apart, four decimals."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if abs(value) >= 0.0001 else f"{value:g}"


def rows(head: Iterable[str], body: Iterable[Iterable[Any]]) -> str:
    """A Markdown table; no cell can end its line or its column."""
    lines = [list(head), ["---" for _ in head], *([shown(cell) for cell in line] for line in body)]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def command(release: Path) -> str:
    """What made the release, as it was typed."""
    return " ".join(["python scripts/run.py", *record(release, "code/overrides.json")])


def front_matter(value: Mapping[str, Any]) -> str:
    return f"---\n{yaml(value)}---\n"


def yaml(value: Mapping[str, Any]) -> str:
    """A mapping as YAML, a key a line; the values are JSON, which YAML holds."""
    return "".join(f"{key}: {json.dumps(item, ensure_ascii=False)}\n" for key, item in value.items())
