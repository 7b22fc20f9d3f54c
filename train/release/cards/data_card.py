"""`data/README.md`, the data card: what people wrote, then what the records say.

Of the eleven groups that a full description of training data has, people answer for reasons, consent, uses, limits
and care; the pipeline answers for everything that can be counted. Neither may be empty.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from train.artifact import read_json, read_manifest
from train.config import read
from train.data.counts import SourceCounts
from train.data.filters import rules
from train.data.text.readers import REASONS
from train.errors import UserError
from train.humanize import shown
from train.licences import hub_name
from train.release.about import about
from train.release.cards.facts import Facts
from train.release.cards.prose import Markdown, line, prose
from train.release.cards.statistics import EXAMPLES, QUANTILES
from train.release.cards.templates import front_matter, markdown
from train.release.standards import reuse
from train.spdx import identifiers

TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
HEAD, SECTIONS, RECORDS = (TABLE[name] for name in ("head", "sections", "records"))
COMPARISONS = [rule.__name__ for rule in rules.COMPARISONS]
STAGES = ("raw", "documents", "judged", "duplicates", "selected", "tokenizer", "tokens")


def written(release: Path) -> tuple[dict[str, str], dict[str, str], str]:
    """The card that people wrote, as `parsed` gives it; UserError when there is none, or something is missing."""
    name = f"data_cards/{read_json(release / 'code/config.json', '/data/name')}.md"
    return parsed(card_text(release / "code" / name, name), name, about(release).licence)


def card_text(path: Path, name: str) -> str:
    """The text of the card at `path`, called `name`; UserError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UserError(f"{name}: cannot be read ({error}); every data set needs a card") from None


def parsed(card: str, name: str, licence: str) -> tuple[dict[str, str], dict[str, str], str]:
    """A card that people wrote: its front matter, its sections by their headings, and all of its text.

    Raises UserError when something that only people can say is missing or empty, or when it is not under `licence`.
    """
    head, text = _parted(card)
    parts = re.split(r"^## +([^ \t\n](?:.*[^ \t\n])?)[ \t]*$", text, flags=re.MULTILINE)
    sections = {heading: body.strip() for heading, body in zip(parts[1::2], parts[2::2], strict=True)}
    missing = [f"'{key}:' at its head" for key in HEAD if not head.get(key)]
    missing += [f"text under '## {heading}'" for heading in SECTIONS if not sections.get(heading)]
    if missing:
        raise UserError(f"{name}: it lacks {', '.join(missing)}; write it, only people can say it")
    if head["licence"] != licence:
        raise UserError(f"{name}: its licence is {head['licence']}, the release's is {licence}")
    if taken := [heading for heading in sections if heading.lower() in RECORDS]:
        raise UserError(f"{name}: '## {taken[0]}' is written by the pipeline, from records; call the section otherwise")
    opening = re.sub(r"\A# .*\n", "", parts[0])
    flat = [prose(opening), *(f"## {line(heading)}\n\n{prose(body)}" for heading, body in sections.items())]
    return head, sections, "\n\n".join(flat).strip()


def data_card(release: Path) -> bytes:
    """The data card's bytes: a function of the release's folder. Raises UserError when people left something out."""
    facts, (head, _, text) = Facts(release), written(release)
    languages = {each["language"] for each in facts.sources}
    extracted = read(dict[str, SourceCounts], release / "data/extracted.json")
    lost = {reason: sum(getattr(each, reason) for each in extracted.values()) for reason in sorted(REASONS)}
    return markdown(
        "cards/data_card.md.jinja",
        front_matter=front_matter(_front(facts)),
        facts=facts,
        extracted=extracted,
        head=head,
        text=Markdown(text),
        digests={stage: read_manifest(release / "provenance" / f"{stage}.json").digest for stage in STAGES},
        standings=reuse.by_standing(facts.terms),
        left_out=", ".join(f"{shown(number)} {reason}" for reason, number in lost.items()),
        rules=rules.described(),
        unjudged=rules.unjudged(facts.record("code/config.json", "/data/selected"), languages),
        passed=facts.counts.kept.documents + sum(facts.counts.dropped[name].documents for name in COMPARISONS),
        quantiles=QUANTILES,
        examples=EXAMPLES,
    )


def _front(facts: Facts) -> dict[str, Any]:
    """What the hub and `datasets` read."""
    tables = {"documents": ("kept", "documents/*.parquet"), "ledger": ("decisions", "ledger/*.parquet")}
    counts = facts.counts
    if not any(size.documents for kind in (counts.dropped, counts.redacted, counts.edited) for size in kind.values()):
        del tables["ledger"]  # `datasets` does not open a table without rows
    name = facts.record("code/config.json", "/data/name")
    return {
        "pretty_name": f"{name}, the training text of {facts.about.title} {facts.about.version}",
        "license": sorted({hub_name(i) for i in identifiers(reuse.of_documents(facts.release))}),
        "language": facts.languages,
        "task_categories": ["text-generation"],
        "configs": [
            {"config_name": name, "data_files": [{"split": split, "path": path}], "default": name == "documents"}
            for name, (split, path) in tables.items()
        ],
    }


def _parted(card: str) -> tuple[dict[str, str], str]:
    """The front matter of a card that people wrote, as plain `key: value` lines, and its text."""
    if not card.startswith("---\n"):
        return {}, card.strip()
    head, _, text = card[4:].partition("\n---\n")
    lines = (line.partition(":") for line in head.split("\n"))
    return {key.strip(): value.strip() for key, colon, value in lines if colon}, text.strip()
