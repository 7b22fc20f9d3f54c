"""Lines that are taken out of a text of which the rest is kept, as C4 and FineWeb do.

A rule takes (line, setting), a line that holds something, without indentation, and says whether it goes.
"""

from collections.abc import Callable, Sequence
from typing import Any

from train.data.filters.pieces import TERMINAL


def unended_lines(line: str, threshold: int) -> bool:
    """Lines with more characters than the threshold that no mark of a sentence ends. C4: 0."""
    return len(line) > threshold and not line.endswith(TERMINAL)


def few_word_lines(line: str, threshold: int) -> bool:
    """Lines with fewer words than the threshold. C4: 5."""
    return len(line.split()) < threshold


def boilerplate_lines(line: str, phrases: Sequence[str]) -> bool:
    """Lines that hold one of these phrases, small letters or capitals. C4: javascript, cookie policy, terms of use."""
    small = line.lower()
    return any(phrase in small for phrase in phrases)


def without(text: str, rule: Callable[[str, Any], bool], setting: Any) -> tuple[str, int]:
    """The text without the lines of which a rule says so, and how many these are. Blank lines stay."""
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if not (bare := line.strip()) or not rule(bare, setting)]
    return "".join(kept), len(lines) - len(kept)
