"""Records of counts: how much was extracted of each source, and how much of that was kept, dropped and changed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How many documents there are, and the bytes of their texts."""

    documents: int
    bytes: int


@dataclass(frozen=True)
class Change(Size):
    """How many documents a rule changed, the bytes it took out of them, and how often."""

    occurrences: int


@dataclass(frozen=True)
class Part:
    """What was extracted and what was kept of a source, or under a licence."""

    raw: Size
    kept: Size


@dataclass(frozen=True)
class SelectionCounts:
    """`counts.json` of the artifact `selected`: by rule, split, source and licence."""

    raw: Size
    kept: Size
    dropped: dict[str, Size]
    redacted: dict[str, Change]
    edited: dict[str, Change]
    splits: dict[str, Size]
    sources: dict[str, Part]
    licences: dict[str, Part]


@dataclass(frozen=True)
class SourceCounts(Size):
    """What was extracted of a source, and how many of its texts are no document for which reason."""

    files: int
    undecodable: int
    binary: int
    empty: int
    oversized: int
    licences: dict[str, str]  # licence file -> SHA-256
    unlicensed: dict[str, int]  # what rows tell of a licence that is none -> how many
