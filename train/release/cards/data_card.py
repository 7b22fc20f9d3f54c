"""`data/README.md`, the data card: what people wrote, then what the records say.

Of the eleven groups that a full description of training data has, people answer for reasons, consent, uses, limits
and care; the pipeline answers for everything that can be counted. Neither may be empty.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.artifact import digest
from train.data.filters import rules
from train.data.text.language_tag import language
from train.errors import UserError
from train.release.cards.markdown import command, front_matter, record, rows, settings, shown
from train.release.cards.prose import line, prose
from train.release.cards.statistics import EXAMPLES, QUANTILES, UNITS
from train.release.standards import reuse
from train.spdx import identifiers
from train.terms import hub_name

HEAD = ("title", "curator", "contact", "licence", "date")
SECTIONS = (
    "Motivation",
    "How the sources were chosen and their licences seen",
    "How the text was collected",
    "How the text was extracted",
    "Labelling",
    "Machine-made text",
    "Personal and sensitive data",
    "Consent and opt-out",
    "Intended and unsuitable uses",
    "Known bias and limits",
    "Maintenance and take-down",
)  # which people must write; they may write more
RECORDS = (
    "records",
    "sources",
    "licences",
    "steps",
    "selection",
    "overlap with the evaluation",
    "splits and order",
    "statistics",
    "how to make it again",
)  # headings of what the pipeline writes
STAGES = ("raw", "documents", "selected", "tokenizer", "tokens")


def written(release: Path) -> tuple[dict[str, str], dict[str, str], str]:
    """The card that people wrote, as `parsed` gives it; UserError when there is none, or something is missing."""
    config = record(release, "code/config.json")
    name = f"data_cards/{config['data']['name']}.md"
    return parsed(card_text(release / "code" / name, name), name, config["release"]["licence"])


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
    config = record(release, "code/config.json")
    data, about, training = config["data"], config["release"], config["training"]
    counts, statistics = record(release, "data/counts.json"), record(release, "data/statistics.json")
    head, _, text = written(release)
    products = {stage: record(release, f"provenance/{stage}.json", "/products") for stage in STAGES}
    made = {stage: digest({path: e["sha256"] for path, e in found.items()}) for stage, found in products.items()}
    about_it = (
        ("data set, of release", f"{data['name']}, {about['version']} of {about['date']}"),
        *((key, head[key]) for key in ("curator", "contact")),
        ("licence and date of this card", f"{head['licence']}, {head['date']}"),
        ("SHA-256 over the selected data", made["selected"]),
    )
    lengths = ((unit, *(found[name] for name in QUANTILES)) for unit, found in statistics["length"].items())
    languages = ((name, *(part[unit] for unit in UNITS)) for name, part in sorted(statistics["languages"].items()))
    splits = (
        (name, *(part[unit] for unit in UNITS), statistics["digests"][name])
        for name, part in sorted(statistics["splits"].items())
    )
    examples = (
        (kind, each["id"], each["source"], each["path"], each["bytes_per_token"])
        for kind, some in sorted(statistics["examples"].items(), reverse=True)
        for each in some
    )
    return f"""{front_matter(_front(release, counts, statistics))}
# {line(head["title"])}

{rows(("", ""), about_it)}

{text}

# Records

What follows was written by the pipeline from its records. `datasets.load_dataset` opens this folder: `documents` has
each text that was kept, its column `split` tells what was trained on; `ledger`, when there is any entry, has each
decision to drop or change a text. `left_out/` names each file of a source that gave no document, and why.
`croissant.json` describes the files for machines.

## Sources

{_sources(release, statistics)}

Every source is open: its texts stand in `documents/`, its licence text in `licences/`. Nothing is left out as
unshareable, and nothing has to be bought or asked for. When each was retrieved stands in `../logs/raw/`, for that
differs from build to build.

## Licences

{_licences(release)}

"Open, not OSI-listed" is said of licences that let anybody use, change and pass on the text, and that the Open Source
Initiative has not approved as licences of software. Texts under share-alike stay under their own licence; whether that
reaches weights trained on them is not settled, and is not decided here. `../NOTICE` has the duties source by source.

## Steps

{_steps(release, config)}

## Selection

{_selection(data["selected"], counts)}

{_overlap(release)}

## Splits and order

{rows(("split", *UNITS, "SHA-256 over its ids"), splits)}

A text is held out when a hash of its own hash falls below the share {data["selected"]["held_out"]}; equal texts meet in
one split, so no text is in both. `batch_at` in `code/train/data/batches.py` tells which tokens a step reads, from the
seed {training["seed"]}, the step, {training["batch"]} windows a step and {config["model"]["context"]} tokens a window.

## Statistics

Languages are those that the sources declare; the domain of a text is its source, of which the shares stand above.
Tokens count the mark at the end of each document.

{rows(("language", *UNITS), languages)}

{rows(("length of a document in", *QUANTILES), lengths)}

The {EXAMPLES} typical and the {EXAMPLES} odd documents were chosen by a rule: those whose bytes a token are nearest to
the median, and those where they are farthest from it. The tokenizer was learnt on these texts, so it shortens a text
that is like the others about as much as these, and other texts less, or more. Their texts stand in `documents/`.

{rows(("", "id", "source", "path", "bytes a token"), examples)}

## How to make it again

Each setting stands in {settings(release)}

In a copy of the code:

    {command(release)} until=tokens

That leads to these digests, over the products of each stage:

{rows(("stage", "SHA-256"), made.items())}
""".encode()


def _front(release: Path, counts: Mapping[str, Any], statistics: Mapping[str, Any]) -> dict[str, Any]:
    """What the hub and `datasets` read."""
    about = record(release, "code/config.json", "/release")
    tables = {"documents": ("kept", "documents/*.parquet"), "ledger": ("decisions", "ledger/*.parquet")}
    if not any(entry["documents"] for kind in ("dropped", "redacted") for entry in counts[kind].values()):
        del tables["ledger"]  # `datasets` does not open a table without rows
    name = record(release, "code/config.json", "/data/name")
    return {
        "pretty_name": f"{name}, the training text of {about['title']} {about['version']}",
        "license": sorted({hub_name(i) for i in identifiers(reuse.of_documents(release))}),
        "language": sorted({language(tag) for tag in statistics["languages"]}),
        "task_categories": ["text-generation"],
        "configs": [
            {"config_name": name, "data_files": [{"split": split, "path": path}], "default": name == "documents"}
            for name, (split, path) in tables.items()
        ],
    }


def _sources(release: Path, statistics: Mapping[str, Any]) -> str:
    extracted, under = record(release, "data/extracted.json"), reuse.by_source(release)
    none = dict.fromkeys(UNITS, 0)
    where, what = [], []
    for source in record(release, "data/sources.json"):
        purl, kept = source["purl"], statistics["sources"].get(source["purl"], none)
        size = sum(file["bytes"] for file in source["files"])
        sha256 = source.get("sha256") or digest({file["path"]: file["sha256"] for file in source["files"]})
        where.append((purl, "open", source["attribution"], source["language"], len(source["files"]), size, sha256))
        seen = source["licence_files"][0]
        share = f"{kept['tokens'] / statistics['tokens']:.2%}"
        found = extracted[purl]["licences"][seen]
        what.append((purl, "; ".join(under[purl]), seen, found, *(kept[unit] for unit in UNITS), share))
    one = rows(("source", "kind", "publisher and attribution", "language", "files", "bytes", "SHA-256"), where)
    two = rows(("source", "licence", "seen in", "its SHA-256", *(f"{u} kept" for u in UNITS), "share of tokens"), what)
    return f"{one}\n\n{two}"


def _licences(release: Path) -> str:
    terms = reuse.terms(release)
    ours = record(release, "code/config.json", "/release/licence")
    table = [
        (name, *(t[u] for u in UNITS), t["standing"], t["attribution"], t["share_alike"], t["beside_ours"])
        for name, t in terms.items()
    ]
    table += [("all", *(t[u] for u in UNITS), name, "", "", "") for name, t in reuse.by_standing(terms).items()]
    return rows(("licence", *UNITS, "standing", "attribution", "share-alike", f"beside {ours}"), table)


def _steps(release: Path, config: Mapping[str, Any]) -> str:
    """One row a step: its code, its settings, what went in, what came out, what was left out."""
    sources, extracted = record(release, "data/sources.json"), record(release, "data/extracted.json").values()
    counts, tokens = record(release, "data/counts.json"), record(release, "data/tokens.json")
    files, lost = 0, Counter[str]()
    for entry in extracted:
        files += entry["files"]
        lost.update({k: n for k, n in entry.items() if k not in ("files", "documents", "bytes") and isinstance(n, int)})
    raw, kept, train = (f"{shown(c['documents'])} documents" for c in (counts["raw"], counts["kept"], tokens["train"]))
    fetched, encoded = sum(len(s["files"]) for s in sources), sum(part["tokens"] for part in tokens.values())
    left = ", ".join(f"{shown(number)} {reason.replace('_', ' ')}" for reason, number in sorted(lost.items()))
    steps = (
        ("raw", "the sources", f"{shown(len(sources))} sources", f"{shown(fetched)} files", "nothing"),
        ("documents", f"`{json.dumps(config['data']['documents'])}`", f"{shown(files)} files", raw, left),
        ("selected", "those of the rules", raw, kept, "what the rules found"),
        ("tokenizer", f"`{json.dumps(config['tokenizer'])}`", train, "`tokenizer.json`", "the documents held out"),
        ("tokens", "none", kept, f"{shown(encoded)} tokens", "nothing"),
    )
    table = ((step, f"`code/train/data/{step}.py`", *rest) for step, *rest in steps)
    return rows(("step", "code", "settings", "in", "out", "left out"), table)


def _selection(settings: Mapping[str, Any], counts: Mapping[str, Any]) -> str:
    head = ("rule", "what it finds", "setting", "documents dropped", "bytes", "documents changed", "finds replaced")
    table = []
    for name, what in rules.described().items():
        dropped, redacted = (counts[action].get(name, {}) for action in ("dropped", "redacted"))
        found = (dropped.get("documents", 0), dropped.get("bytes", 0))
        changed = (redacted.get("documents", 0), redacted.get("occurrences", 0))
        table.append((name, what, f"`{json.dumps(settings[name])}`" if name in settings else "", *found, *changed))
    units = ("documents", "bytes")
    raw, kept = ({unit: shown(counts[name][unit]) for unit in units} for name in ("raw", "kept"))
    gone = {unit: shown(sum(entry[unit] for entry in counts["dropped"].values())) for unit in units}
    redacted = shown(sum(entry["bytes"] for entry in counts["redacted"].values()))
    return f"""{rows(head, table)}

Documents: {raw["documents"]} extracted = {kept["documents"]} kept + {gone["documents"]} dropped.
Bytes: {raw["bytes"]} extracted = {kept["bytes"]} kept + {gone["bytes"]} dropped + {redacted} taken by redaction."""


def _overlap(release: Path) -> str:
    """How much of what is evaluated on stands in the training text as well."""
    found = record(release, "data/overlap.json")
    head = (
        "evaluation set",
        "items",
        "n-grams of",
        "n-grams",
        "of these in the training text",
        "share",
        "items with any",
    )
    table = [
        (
            name,
            part["items"],
            f"{length} {unit}",
            *(part[unit][what] for what in ("ngrams", "shared", "share", "items")),
        )
        for name, part in {**found["sets"], "the text held out": found["held_out"]}.items()
        for unit, length in found["lengths"].items()
    ]
    return f"""## Overlap with the evaluation

{rows(head, table)}

That is what is left after the rule `contaminated`; `overlap.json` has it item by item."""


def _parted(card: str) -> tuple[dict[str, str], str]:
    """The front matter of a card that people wrote, as plain `key: value` lines, and its text."""
    if not card.startswith("---\n"):
        return {}, card.strip()
    head, _, text = card[4:].partition("\n---\n")
    lines = (line.partition(":") for line in head.split("\n"))
    return {key.strip(): value.strip() for key, colon, value in lines if colon}, text.strip()
