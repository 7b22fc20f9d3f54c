"""A grammar that writes English: templates in a text file, filled in by draws from a seed, the same on any machine.

A file of templates has sections `# name` and in them entries `## name`, each a template over any number of lines. In a
template `[a|b]` is a choice, which may hold further choices, and `{word}` is filled in: with what the text has settled
on, else with a draw from the entry of that name. `{Word}` is `{word}` with a capital; a blank line parts paragraphs.
"""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import shake_256
from pathlib import Path
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Piece: TypeAlias = "str | Choice"
Choice: TypeAlias = tuple[tuple[Piece, ...], ...]


def read_templates(path: Path) -> dict[str, dict[str, str]]:
    """Section -> entry -> template, in the order of the file."""
    sections = re.split(r"^# (.+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    entries = (re.split(r"^## (.+)\n", body, flags=re.MULTILINE)[1:] for body in sections[1::2])
    return {
        name: dict(zip(each[::2], each[1::2], strict=True)) for name, each in zip(sections[::2], entries, strict=True)
    }


@cache
def parse(template: str) -> Choice:
    """The template as nested tuples: a choice is a tuple of sequences of text, `{word}` and choices."""
    paragraphs = [re.sub(r" ?\| ?", "|", " ".join(paragraph.split())) for paragraph in template.split("\n\n")]
    return _choice(iter(re.findall(r"[\[\]|]|\{\w+\}|[^\[\]|{}]+", "\n\n".join(paragraphs))))


def _choice(tokens: Iterator[str]) -> Choice:
    alternatives: list[list[Piece]] = [[]]
    for token in tokens:
        if token == "]":
            break
        if token == "|":
            alternatives.append([])
        else:
            alternatives[-1].append(_choice(tokens) if token == "[" else token)
    return tuple(tuple(pieces) for pieces in alternatives)


class Text:
    """A text in the making: `draws` numbers that follow from `seed`, and the words that it has settled on."""

    def __init__(self, templates: Mapping[str, str], seed: str, draws: int) -> None:
        stream = shake_256(seed.encode()).digest(4 * draws)
        self.templates, self.draws = templates, iter(struct.unpack(f"<{draws}I", stream))
        self.settled: dict[str, str] = {}

    def pick(self, items: Sequence[T]) -> T:
        return items[next(self.draws) % len(items)]  # type: ignore[no-any-return]

    def draw(self, template: str) -> str:
        """One of the template's alternatives, filled in."""
        return self.fill(self.pick(parse(template)))

    def fill(self, pieces: Sequence[Piece]) -> str:
        return "".join(map(self._filled, pieces))

    def _filled(self, piece: Piece) -> str:
        if isinstance(piece, tuple):
            return self.fill(self.pick(piece))
        if not piece.startswith("{"):
            return piece
        word = self.word(piece.strip("{}").lower())
        return word if piece.islower() else word[0].upper() + word[1:]

    def word(self, name: str) -> str:
        return self.settled[name] if name in self.settled else self.draw(self.templates[name])
