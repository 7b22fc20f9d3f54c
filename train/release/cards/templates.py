"""Pages from templates of this repository, in which nothing that a record says has a structure of its own, and YAML.

In Markdown every value is written as in a cell of a table (`prose.cell`), unless it is `Markdown` already, as what
people wrote is after `prose.line` and `prose.prose`; in HTML every value is escaped, in JSON, YAML and TOML a literal.
"""

import json
import math
import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from yaml import CollectionNode, MappingNode, Node, SafeLoader, YAMLError, compose, safe_load

from train.errors import UserError
from train.humanize import brief, duration, percent, shown
from train.release.cards.prose import Markdown, cell, line, prose
from train.unicode import OBEYED, harmless

MOST_YAML = 2**16  # characters
UNIT = re.compile(r"(?<=\d) ")  # the blank before one
TRAIN = Path(__file__).resolve().parents[2]
ROOMS = (TRAIN / "release", TRAIN / "commands")  # templates lie beside the modules that write by them


def markdown(template: str, **values: Any) -> bytes:
    """A page in Markdown by a template below `train/release`."""
    page = _environment(autoescape=False, finalize=_escaped, keep_trailing_newline=True)
    page.filters |= {
        "line": line, "prose": prose, "quoted": quoted, "interval": interval, "words": words,
        "json": lambda value: json.dumps(value, ensure_ascii=False),
    }  # fmt: skip
    return page.get_template(template).render(values).encode()


def html(template: str, **values: Any) -> bytes:
    """A page in HTML by a template below `train/release`."""
    page = _environment(autoescape=True, finalize=lambda value: harmless(value) if type(value) is str else value)
    page.filters |= {
        "shown": shown, "brief": brief, "percent": percent, "words": words,
        "duration": lambda seconds: UNIT.sub("\N{NO-BREAK SPACE}", duration(seconds)),
    }  # fmt: skip
    return page.get_template(template).render(values).encode()


def data(template: str, **values: Any) -> str:
    """A file of JSON, YAML or TOML by a template below `train/release`: each value is a literal that all three know."""
    page = _environment(autoescape=True, finalize=_literal, keep_trailing_newline=True)
    return page.get_template(template).render(values)


def _literal(value: Any) -> Markup:
    return value if isinstance(value, Markup) else Markup(literal(value))  # what a macro gives is spelt already


def front_matter(value: Mapping[str, Any]) -> Markdown:
    return Markdown(f"---\n{yaml(value)}---\n")


def yaml(value: Mapping[str, Any]) -> str:
    """A mapping as YAML, a key a line; the values are JSON, which YAML holds, and nothing in them opens a comment."""
    return "".join(f"{key}: {literal(item)}\n" for key, item in value.items())


def read_yaml(text: str, what: str) -> dict[str, Any]:
    """A mapping as YAML without any tag of Python; UserError when it is too large or something else.

    Keys `<<`, which merge mappings, are refused: a few lines of them make a mapping larger than any memory.
    """
    if len(text) > MOST_YAML or "<<" in text:
        raise UserError(f"{what}: more than {MOST_YAML} characters of YAML, or a key `<<`")
    try:
        if "&" in text and repeated(text) > MOST_YAML:
            raise UserError(f"{what}: aliases that stand for more than {MOST_YAML} values of YAML")
        mapping = safe_load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{what}: cannot be read as YAML ({type(error).__name__})") from None
    if mapping is not None and not isinstance(mapping, dict):
        raise UserError(f"{what}: expected a mapping, found {type(mapping).__name__}")
    return mapping or {}


def repeated(text: str) -> float:
    """How many values YAML holds, each as often as aliases repeat it; infinite where one stands in itself."""
    counts: dict[int, float] = {}

    def count(node: Node | None) -> float:
        if id(node) not in counts:
            counts[id(node)] = math.inf  # while it is not known
            parts = node.value if isinstance(node, CollectionNode) else []
            counts[id(node)] = 1 + sum(map(count, chain(*parts) if isinstance(node, MappingNode) else parts))
        return counts[id(node)]

    return count(compose(text, SafeLoader))


def literal(item: Any) -> str:
    """A value as JSON, which YAML and TOML read alike, with nothing in it that opens a comment or turns text."""
    spelt = json.dumps(item, ensure_ascii=False)
    return re.sub(f"<|{OBEYED.pattern}", lambda match: f"\\u{ord(match[0]):04x}", spelt)


def text(template: str, **values: Any) -> str:
    """Plain text by a template below `train/release` or `train/commands`, in which a value is as it is."""
    return _environment(keep_trailing_newline=True).get_template(template).render(values)


def lines(template: str, **values: Any) -> list[str]:
    """What a command tells people, by a template below `train/commands`."""
    return text(template, **values).removesuffix("\n").split("\n")


def _environment(**options: Any) -> Environment:
    return Environment(
        loader=FileSystemLoader(ROOMS), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        **options,
    )  # fmt: skip


def _escaped(value: Any) -> str:
    return value if isinstance(value, Markdown) else cell(shown(value))


def quoted(text: str) -> Markdown:
    """An indented block, in which Markdown means nothing."""
    return Markdown("".join(f"    {harmless(each)}\n" for each in text.splitlines()))


def interval(score: Any) -> str:
    """The confidence interval of a score, if it has one."""
    return f"{shown(score['low'])} to {shown(score['high'])}" if "low" in score else ""


def words(name: str) -> str:
    """A name as people write it, without its underscores."""
    return name.replace("_", " ")
