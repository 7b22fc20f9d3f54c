"""People's words in Markdown: the one door by which they come into cards, with no structure of their own.

Whoever writes a title, a description, a section or an attribution could otherwise hide what the records say in a
comment, or set false headings and tables before the true ones. Paragraphs, lists, emphasis, code in a line and links
stay; HTML, images, headings, tables, rules, blocks of code and definitions of links are shown as the letters they are.
"""

import re
from datetime import date

from train.errors import UserError
from train.unicode import OBEYED, harmless


class Markdown(str):
    """Text that is Markdown already, and comes into a page as it is."""


LINE, PROSE = 2_000, 40_000  # characters, at most
LISTED = re.compile(r"(?:(?:[*+-]|\d{1,9}[.)]|>)(?:[ \t]+|$))*")  # marks of lists and quotations, which may nest
RULE = re.compile(r"\s*[-=*_][-=*_\s]*")
OPENS = re.compile(r"#|```|~~~|\[[^\]]*\]:|:?-+:?\s*$")  # a heading, a fence, a definition, the rule of a table


def line(text: str) -> Markdown:
    """People's words as one line, or as part of one."""
    return _inline(" ".join(bounded(text, LINE).split()))


def cell(text: str) -> Markdown:
    """What a record says, whatever that is, as a cell of a table."""
    return _inline(plain(text))


def plain(text: str) -> str:
    """What a record says as one line: cut where it is too long, what would be obeyed replaced."""
    return " ".join(harmless(text if len(text) <= PROSE else f"{text[:PROSE]} ...").split())


def prose(text: str) -> Markdown:
    """People's words as paragraphs and lists. UserError when they are too long or hold what a terminal would obey."""
    return Markdown("\n".join(_flat(each) for each in bounded(text, PROSE).strip().split("\n")))


def bounded(text: str, most: int) -> str:
    """`text` as it is. UserError when it is longer than `most`, or holds a control or a mark of direction."""
    text = str(text).replace("\r\n", "\n")
    if len(text) > most:
        raise UserError(f"{text[:40]!r} ... has {len(text)} characters; {most} are allowed, shorten it")
    if match := OBEYED.search(text) or re.search("[\x85\u2028\u2029]", text):
        where = f"{text[:40]!r} ... holds the character U+{ord(match[0]):04X}"
        raise UserError(f"{where}, which hides or turns text; take it out")
    return text


def _flat(text: str) -> str:
    """A line that begins nothing but a paragraph or an item of a list."""
    stripped = text.strip()
    indent = " " * min(2, len(text) - len(text.lstrip()))
    if not stripped or RULE.fullmatch(stripped):
        return indent + "\\" * bool(stripped) + stripped
    marks = LISTED.match(stripped)
    start = marks.end() if marks else 0
    mark, rest = " ".join(stripped[:start].split()), stripped[start:]
    escaped = "\\" if OPENS.match(rest) or (mark and RULE.fullmatch(rest)) else ""
    return f"{indent}{mark}{' ' if mark and rest else ''}{escaped}{_inline(rest)}".rstrip()


def _inline(text: str) -> Markdown:
    return Markdown(text.replace("<", "&lt;").replace("![", "!\\[").replace("|", "\\|"))


def check_date(text: str) -> None:
    """ValueError unless `text` is a day as ISO 8601 spells it in full: 2026-11-23."""
    try:
        if date.fromisoformat(text).isoformat() == text:
            return
    except ValueError:
        pass
    raise ValueError(f"date: expected a day such as '2026-11-23', got {text!r}")
