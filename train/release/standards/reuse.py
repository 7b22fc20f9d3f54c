"""The licences of a release: of its documents with their duties, its sources, its files (REUSE), and their texts."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.artifact import read_json
from train.config import read
from train.data import schema
from train.data.benchmarks import SetRecord, read_sets
from train.data.counts import SourceCounts
from train.data.sources.archive import fits
from train.data.sources.spec import Source, read_sources
from train.errors import UserError
from train.humanize import shown
from train.licences import CLOSED, OURS, duties, standing, url
from train.release.about import about
from train.release.cards.prose import plain
from train.release.cards.statistics import UNITS, parquet
from train.release.cards.templates import data, text
from train.spdx import identifiers


@dataclass(frozen=True)
class Terms:
    """A licence among the documents: how much is under it, its standing and its duties."""

    documents: int
    bytes: int
    tokens: int
    identifiers: list[str]
    standing: str
    attribution: str
    share_alike: str
    beside_ours: str
    osi_approved: bool


def terms(release: Path) -> dict[str, Terms]:
    """The licences among the documents.

    Raises UserError when one is not known to be open: such a text must not be passed on.
    """
    licences = {}
    for expression, counts in sorted(read_json(release / "data/statistics.json", "/licences").items()):
        if (known := standing(expression)) == CLOSED:
            raise UserError(
                f"{counts['documents']} documents are under {expression!r}, which is not known to be open: leave their "
                f"source out of data.raw, or read the licence and list it in train/licences.toml"
            )
        about: dict[str, Any] = {**counts, **duties(expression), "osi_approved": known == "OSI-approved"}
        licences[expression] = Terms(**about, identifiers=list(identifiers(expression)), standing=known)
    return licences


def by_standing(licences: Mapping[str, Terms]) -> dict[str, Counter[str]]:
    """Documents, bytes and tokens by the standing of their licence."""
    totals: dict[str, Counter[str]] = {}
    for entry in licences.values():
        totals.setdefault(entry.standing, Counter()).update({unit: getattr(entry, unit) for unit in UNITS})
    return totals


def by_source(release: Path) -> dict[str, list[str]]:
    """The licences of each source's documents; of a source of which none was kept, its own."""
    licences: dict[str, set[str]] = {}
    for each in schema.read_records(schema.Origin, parquet(release, "documents")):
        licences.setdefault(each.source, set()).add(each.licence)
    sources = [record.source for record in read_sources(release / "data" / "sources.json")]
    return {source.purl: sorted(licences.get(source.purl, {source.licence})) for source in sources}


def notice(release: Path) -> bytes:
    """`NOTICE`: whose texts the release holds, under which terms, and what these ask of whoever passes them on."""
    return text(
        "standards/notice.jinja", about=read_json(release / "code/config.json", "/release"), terms=terms(release),
        evidence=evidence(release), under=by_source(release),
        kept=read_json(release / "data/statistics.json", "/sources"), none=dict.fromkeys(UNITS, 0), units=UNITS,
        plain=plain, shown=shown,
    ).encode()  # fmt: skip


def of_documents(release: Path) -> str:
    """The expression that holds for a file with texts from all sources: the licence of every document."""
    licences = sorted(read_json(release / "data/statistics.json", "/licences"))
    return licences[0] if len(licences) == 1 else " AND ".join(f"({e})" if " " in e else e for e in licences)


def evidence(release: Path) -> list[tuple[Source, dict[str, str]]]:
    """Each source of documents or of an evaluation set by others, and its licence files: path in it -> path here."""
    extracted = read(dict[str, SourceCounts], release / "data/extracted.json")
    sources: list[tuple[Source, str, dict[str, str]]] = [
        (record.source, "data", extracted[record.source.purl].licences)
        for record in read_sources(release / "data" / "sources.json")
    ]
    sources += [(each.record.source, "evaluation/data", each.licences) for each in sets_of_others(release)]
    return [(s, {path: f"{at}/licences/{sha}.txt" for path, sha in sorted(files.items())}) for s, at, files in sources]


def sets_of_others(release: Path) -> list[SetRecord]:
    """The records of the evaluation sets that this repository has not written itself."""
    return read_sets(release / "evaluation" / "data" / "sets.json")


def texts(release: Path) -> dict[str, bytes]:
    """`LICENSES/<id>.txt` for each licence of a document; the texts are those that came with the sources.

    Preferred is the text of a source under this licence alone; each source's own text stands in `data/licences/`. Where
    none came, as when rows name their licences, the file says where the text is.
    """
    licences: dict[str, bytes] = {}
    under = by_source(release)
    for source, files in sorted(evidence(release), key=lambda pair: (" " in pair[0].licence, pair[0].purl)):
        own, names = identifiers(source.licence), source.licence_files
        expressions = under.get(source.purl, [source.licence])
        for identifier in sorted({i for expression in expressions for i in identifiers(expression)}):
            # Of several files, the one whose name tells the licence: LICENSE.MIT, LICENSE.APACHE2, LICENSE.BSD.
            word = identifier.split("-")[0].lower()
            path = next((path for path in names if word in path.lower()), names[0] if identifier in own else None)
            content = path and (release / files[path]).read_bytes()
            none = f"No text of {identifier} came with the sources. It stands at {url(identifier)}\n".encode()
            if content or f"LICENSES/{identifier}.txt" not in licences:
                licences[f"LICENSES/{identifier}.txt"] = content or none
    return {**licences, f"LICENSES/{OURS}.txt": (release / "LICENSE").read_bytes()}


def reuse_toml(release: Path) -> bytes:
    """`REUSE.toml`: each file's licence, by glob; the last glob that fits a file holds (REUSE 3.3)."""
    said = about(release)
    others = "the authors that NOTICE names"
    tables: list[tuple[str, str, str]] = [("**", said.licence, ", ".join(said.authors))]
    tables += [(f"data/{name}/**", of_documents(release), others) for name in ("documents", "licences")]
    for each in sets_of_others(release):
        paths = [f"{each.name}.parquet", *(f"licences/{sha}.txt" for sha in sorted(set(each.licences.values())))]
        tables += [(f"evaluation/data/{path}", each.record.source.licence, others) for path in paths]
    return data("standards/reuse.toml.jinja", tables=tables).encode()


def by_file(release: Path, paths: list[str]) -> dict[str, str | None]:
    """The licence of each path below `release`, as its REUSE.toml says; None where it says nothing."""
    try:
        table = tomllib.loads((release / "REUSE.toml").read_text(encoding="utf-8"))
        annotations: list[dict[str, Any]] = table["annotations"]
        globs = [(_parts(table["path"]), str(table["SPDX-License-Identifier"])) for table in annotations]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"REUSE.toml: cannot be read ({type(error).__name__}: {error})") from None
    return {path: next((licence for glob, licence in reversed(globs) if fits(glob, path)), None) for path in paths}


def _parts(glob: str) -> list[tuple[str, bool]]:
    return [(part, False) for part in re.split(r"(\*\*|\*)", glob)]
