"""Checks of the words: cards that follow from records, nothing left blank, and nothing that should not be told."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from train.data.filters.pii import secrets as find_secrets
from train.initial import identity_of
from train.release import bundle
from train.release.cards.report import loss_chart
from train.release.cards.report import report as report_page
from train.release.standards import forms
from train.release.standards.osaid import REQUEST, table
from train.release.view import Release

PLACEHOLDER = re.compile(r"\b(TODO|TBD|FIXME|XXX|CHANGEME)\b|\[More Information Needed\]|[Ll]orem ipsum")
MACHINE_PATH = re.compile(r"""(?:^|[\s"'=(:])(?:file://|/(?:home|root|Users|tmp|var|mnt|work|opt)/|[A-Za-z]:\\)""")
CREDENTIALS = re.compile(r"://[^/\s@:]+:[^/\s@]+@")
PLACES = {"cache", "folder", "index", "hub", "mirror"}  # what is told of where a file was retrieved
PROSE = (
    "README.md", "data/README.md", "data/croissant.json", *forms.pages(), "NOTICE", "CITATION.cff", "REUSE.toml",
    "openness.json", "code/config.json",
)  # fmt: skip


def labelling(release: Release) -> Iterator[str]:
    """The data card tells how data was labelled, or why it was not."""
    reason = release.config.release.not_used.get("4")
    if not re.search(r"^#+ +Labelling[ \t]*\n+[^#\s]", release.text("data/README.md"), re.MULTILINE):
        yield "data/README.md: says nothing under 'Labelling'; describe it, or why there is none"
    if reason is not None and not reason.strip():
        yield "code/config.json: labelling is declared as not used without a reason"


def osaid(release: Release) -> Iterator[str]:
    """openness.json follows from what is here, and says that every must item is there."""
    yield from release.written("openness.json")
    for each in table(release.path):
        if each.row.importance == "must" and each.is_("absent"):
            yield f"{each.row.id} ({each.row.requirement}): {each.status}"


def report(release: Release) -> list[str]:
    """The page for people and the card's chart show what the records say: no products, but what most people read."""
    page = release.same("report.html", report_page(release.path, identity_of(release.path)))
    return page + release.same("logs/weights/loss.svg", loss_chart(release.path))


def placeholders(release: Release) -> Iterator[str]:
    """Nobody left a blank to be filled in later. Indented blocks are skipped: there the model or a source speaks."""
    for path in PROSE:
        blanks = placeholders_in(release.text(path), spoken="" if path.endswith(".json") else "    ")
        yield from (f"{path}: {word!r}" for _, word in blanks)


def placeholders_in(text: str, spoken: str = "    ") -> list[tuple[int, str]]:
    """The blanks in a text with the numbers of their lines, but for lines that begin with `spoken`, if that is any."""
    lines = ((n, line) for n, line in enumerate(text.split("\n"), 1) if not (spoken and line.startswith(spoken)))
    return [(number, match[0]) for number, line in lines if (match := PLACEHOLDER.search(line))]


def machine_paths(release: Release) -> Iterator[str]:
    """No record or log holds a path of the machine it was made on, a password in an address, or where a mirror is."""
    skipped = ("code/", "evaluation/samples.json", "tokenizer.json", "logs/statements/")
    records = [p for p in release.paths
               if p.endswith((".json", ".jsonl", ".toml", ".cff")) and not p.startswith(skipped)]  # fmt: skip
    card = f"code/data_cards/{release.config.data.name}.md"
    for path in [*records, *bundle.RESOLVED, *([card] if card in release.paths else [])]:
        texts = strings(release.json(path) if path.endswith(".json") else release.text(path))
        yield from (f"{path}: {text!r}" for text in texts if private(text))
    for purl, kinds in release.json(REQUEST, "/places").items() if REQUEST in release.paths else ():
        if not {*kinds} <= {"folder", "mirror"}:
            yield f"{REQUEST}: {purl}: {kinds!r} tells a place"
    for name, rows in (("documents", release.documents()), ("ledger", release.ledger())):
        yield from (f"data/{name}: {each.path!r}" for each in rows if private(each.path))
    for path in ("logs/raw/retrieved.json", "logs/benchmarks/retrieved.json"):
        for slug, each in release.json(path).items() if path in release.paths else ():
            if not set((place := each["from"]).split(", ")) <= PLACES:
                yield f"{path}: {slug} is from {place!r}, not from one of {', '.join(PLACES)}"


def private(text: str) -> bool:
    """Whether a text has a path of a machine in it, or a password in an address."""
    return bool(MACHINE_PATH.search(text) or CREDENTIALS.search(text))


def secrets(release: Release) -> Iterator[str]:
    """No file holds a private key or an access token: no text of a source, no record, no log, no code but its tests."""
    yield from (f"document {each.id[:12]}: a secret" for each in release.documents() if secret(each.text))
    for path in release.paths:
        looked_at = not path.endswith((".parquet", ".safetensors")) and not path.startswith("code/tests/")
        if looked_at and secret(release.bytes(path).decode(errors="replace")):
            yield f"{path}: a secret"


def secret(text: str) -> bool:
    return find_secrets(text, "")[1] > 0


def strings(value: Any) -> Iterator[str]:
    """Every string in plain data, keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from (key, *strings(item))
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
