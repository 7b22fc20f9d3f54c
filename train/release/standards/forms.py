"""Forms that others ask of a release, filled in from its records by one table: `forms.yaml` beside this module.

What only a person can say, and nobody said, is left open by name, in the forms that ask for it alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from train.errors import UserError
from train.humanize import shown
from train.release.about import TABLE
from train.release.cards import data_card
from train.release.cards.facts import Facts
from train.release.cards.templates import markdown, read_yaml, words

BLANK = re.compile(r"\{(\?|number of |section: |statement: |sources: |answer: |)([^{}]+)\}")


@dataclass(frozen=True)
class Questions:
    """A form as it is asked."""

    title: str
    about: str
    questions: dict[str, dict[str, Any]]  # part -> question -> what its answer is made of
    record: str = ""  # that it is part of; empty where it is a page of its own


@cache
def table() -> tuple[dict[str, Any], dict[str, Questions]]:
    """The answers that forms share and the forms, as `forms.yaml` has them."""
    answers, forms = read_yaml(TABLE.read_text(encoding="utf-8"), TABLE.name).values()
    return answers, {name: Questions(**form) for name, form in forms.items()}


def pages() -> dict[str, str]:
    """Where in a release each form stands that is a page of its own: path -> name."""
    return {f"forms/{name}.md": name for name, form in table()[1].items() if not form.record}


def page(release: Path, name: str) -> bytes:
    """A form as a page of Markdown."""
    return markdown("standards/forms.md.jinja", form=Form(release, name))


def status(release: Path) -> dict[str, list[str]]:
    """Path of each form -> what nobody answered in it; complete where that is nothing."""
    return {form.record or f"forms/{name}.md": Form(release, name).open for name, form in table()[1].items()}


@dataclass
class Answer:
    text: str = ""
    origins: list[str] = field(default_factory=list)  # the records, sections and statements that it is from
    open: list[str] = field(default_factory=list)  # the statements that nobody made


class Form:
    """A form of the table, filled in for the release in a folder. UserError where a record has no such value."""

    def __init__(self, release: Path, name: str) -> None:
        self.facts, self.sections = Facts(release), data_card.written(release)[1]
        self.form = table()[1][name]
        self.parts = {
            part: {question: self.fill(entry) for question, entry in questions.items()}
            for part, questions in self.form.questions.items()
        }
        self.open = sorted({item for part in self.parts.values() for each in part.values() for item in each.open})

    def fill(self, entry: Any) -> Answer:
        """The answer that an entry of the table leads to."""
        answer = Answer()
        answer.text = self._text(entry, answer)
        return answer

    def _text(self, entry: Any, answer: Answer) -> str:
        match entry:
            case [*several]:
                return " ".join(self._text(each, answer) for each in several)
            case {"first": choices}:
                return next(text for each in choices if (text := self._text(each, answer)))
            case {"of": place, "below": limits}:
                number = self._record(place, answer)
                return self._text(next(text for most, text in limits if most is None or number < most), answer)
        values = [self._value(kind, name, answer) for kind, name in BLANK.findall(entry)]
        texts = iter(values)
        return "" if None in values else " ".join(BLANK.sub(lambda _: str(next(texts)), entry).split())

    def _value(self, kind: str, name: str, answer: Answer) -> str | None:
        """What stands in a blank; None where nothing does and that is allowed."""
        if kind == "answer: ":
            return self._text(table()[0][name], answer)
        if kind == "sources: ":
            return self._sources(name.split(), answer) or None
        if kind == "statement: ":
            return self._statement(name, answer)
        if kind == "section: ":
            answer.origins.append(f"data/README.md, {name}")
            return self.sections[name]
        try:
            value = self._record(name, answer)
        except UserError:
            if kind != "?":
                raise
            return None
        if kind == "?" and not value:
            return None
        return shown(len(value)) if kind == "number of " else said(value)

    def _sources(self, kinds: list[str], answer: Answer) -> str:
        sources = [source for source in self.facts.sources if source["kind"] in kinds]
        answer.origins += ["data/sources.json"] * bool(sources)
        return "; ".join(f"{s['purl']} ({s['attribution']}; {', '.join(s['under'])})" for s in sources)

    def _statement(self, item: str, answer: Answer) -> str:
        for each in self.facts.about.statements:
            if each.item == item:
                answer.origins.append(f"code/config.json, statements.{item}")
                return f"{each.text} (stated by {each.name} on {each.date})"
        answer.open.append(f"statements.{item}")
        own = self.facts.record("code/config.json", "/name")
        name = own if (self.facts.release / f"code/configs/release/{own}.yaml").is_file() else "default"
        return f"not answered by the publisher: statements.{item} in configs/release/{name}.yaml"

    def _record(self, place: str, answer: Answer) -> Any:
        """What stands at FILE#POINTER; a step `[KEY=VALUE]` goes on with each item of a list that has it."""
        file, _, pointer = place.partition("#")
        before, _, rest = pointer.partition("/[")
        chosen, _, below = rest.partition("]/")
        value = self.facts.record(file, before)
        if chosen:
            key, _, wanted = chosen.partition("=")
            value = [item[below] for item in value if item[key] == wanted]
        answer.origins.append(place)
        return value


def said(value: Any) -> str:
    """A value of a record in words: what lists and mappings hold, one after another."""
    if isinstance(value, Mapping):
        if len(value) == 1 and not isinstance(only := next(iter(value.values())), Mapping | list):
            return said(only)
        entries = ((words(name), item, said(item)) for name, item in value.items())
        return ", ".join(f"{name} ({text})" if isinstance(item, Mapping | list) else f"{name} {text}"
                         for name, item, text in entries)  # fmt: skip
    return "; ".join(map(said, value)) if isinstance(value, list) else shown(value)
