"""Stage 4: the documents we keep, and for each one we drop or change, why.

Each worker judges its share of the documents and deals them into parts by the hash of their text as it would be kept,
so equal texts, in whatever normal form of Unicode, meet in one part, and exact duplicates and the held-out split are
decided there. Whoever is last finds what all have judged, compares the signatures of all that is left, of both splits
together, and writes every part.
Nothing depends on the order of the input or on the number of workers.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le, Lt, MinLen

from train.artifact import WITNESS, read_json, whole, write_json
from train.config import Share
from train.data.dedup.contamination import Evaluated, evaluated, items_of
from train.data.dedup.minhash import SIZE, Signatures, keep, signature, similarity
from train.data.dedup.ngrams import Numbers, words
from train.data.filters import rules
from train.data.schema import LEDGER, SELECTED, read_rows, write_rows
from train.errors import UserError
from train.letters import canonical
from train.world import World

SPLITS = ("train", "held_out")


@dataclass(frozen=True)
class SelectedConfig(rules.Thresholds):
    """The rules' settings, and what is decided here; `rules.py` says what each rule finds."""

    # Fixed, so that any number of workers writes the same files; one part must fit in memory, and all are open at once.
    parts: Annotated[int, Ge(1), Le(512)]
    held_out: Annotated[float, Gt(0), Lt(1)]  # share of documents
    licences: Annotated[tuple[str, ...], MinLen(1)]  # SPDX identifiers, of what may be kept
    near_duplicates: Share  # least similarity, as MinHash estimates it
    contaminated: Share  # share of word 13-grams
    excluded: dict[str, str]  # a document's id as extracted, a source's purl, or purl#path -> when and why

    def __post_init__(self) -> None:
        super().__post_init__()
        for licence in self.licences:
            if problem := rules.licences(licence, [licence]):
                raise ValueError(f"licences: expected SPDX identifiers one by one: {problem}")
        for name, reason in self.excluded.items():
            if not reason.strip():
                raise ValueError(f"excluded: {name}: expected when and why, got nothing")


def select(config: SelectedConfig, inputs: Mapping[str, Path], out: Path, world: World) -> None:
    """Write `documents/`, `ledger/` and `counts/` part by part, then their sum `counts.json`.

    Raises UserError when a source's licence is not allowed, when an entry of `excluded` names nothing that is there,
    when nothing is kept, and when a split is empty.
    """
    paths = sorted((inputs["documents"] / "documents").glob("*.parquet"))
    check_excluded(config, paths)
    check_licences(config, paths)
    # Texts on their way to their part; no product, and like all that is named so gone when the artifact is sealed.
    judged = out / WITNESS / ".judged.tmp"
    workers = [[judged / f"{name(part)}.{rank}-of-{world.size}" for part in range(config.parts)]
               for rank in range(world.size)]  # fmt: skip
    mine = islice(read_rows(paths), world.rank, None, world.size)
    deal(config, world.track(mine, "documents judged"), workers[world.rank])
    # Whoever is last finds what all have judged; should two be last at once, they write the same bytes.
    if not all(path.is_file() for files in workers for path in files):
        return
    parts = list(zip(*workers, strict=True))
    nearly, held_out = compare(config, parts)
    items = items_of(inputs["benchmarks"])
    for part, files in enumerate(world.track(parts, "parts written")):
        rows = [settle(config, row, nearly, items, held_out) for row in arrange(config, files)]
        write_part(rows, out, part)
    total = add(*(read_json(out / "counts" / f"{name(part)}.json") for part in range(config.parts)))
    check_counts(config, total)
    write_json(out / "counts.json", total)


def kept_documents(selected: Path, split: str) -> Iterator[dict[str, Any]]:
    """The rows of a split (`train` or `held_out`) of the artifact `selected`, in the order of their ids."""
    parts = sorted((selected / "documents").glob("*.parquet"))
    rows = merge(*(read_rows([part]) for part in parts), key=lambda row: row["id"])
    return (row for row in rows if row["split"] == split)


def name(part: int) -> str:
    """The stem of a part's files."""
    return f"part-{part:04d}"


def check_excluded(config: SelectedConfig, paths: list[Path]) -> None:
    """Refuse entries of `config.excluded` that match no document: somebody's wish would pass unheeded."""
    rows = read_rows(paths, ["id", "source", "path"])
    matched = {name for row in rows for name in rules.names(row)} if config.excluded else set()
    problems = [
        f"data.selected.excluded: {name} matches no document as extracted; give an id, a source's purl, or purl#path "
        "(the ledger's `became` leads from the id of a redacted document to this one), or take the entry out"
        for name in config.excluded
        if name not in matched
    ]
    if problems:
        raise UserError("\n".join(problems))


def check_licences(config: SelectedConfig, paths: list[Path]) -> None:
    """Refuse sources whose licence is not among `config.licences`, but for documents that are dropped unlicensed."""
    rows = read_rows(paths, ["id", "source", "path", "licence"])
    sources = sorted({(row["source"], row["licence"]) for row in rows if not any(leave_out(config, row))})
    found = {licence: rules.licences(licence, config.licences) for licence in {licence for _, licence in sources}}
    problems = [
        f"{source}: licence {problem}; accept it in data.selected.licences, leave the source out of data.raw, or give "
        "NOASSERTION where no licence is known: such documents are dropped"
        for source, licence in sources
        if (problem := found[licence])
    ]
    if problems:
        raise UserError("\n".join(problems))


def deal(config: SelectedConfig, rows: Iterator[dict[str, Any]], parts: Sequence[Path]) -> None:
    """Judge every document and write it, with the verdict and a kept text's signature, to the file of its part."""
    with ExitStack() as stack:
        files = [stack.enter_context(whole(path)) for path in parts]
        for row in rows:
            judged = judge(config, row)
            if not judged["judgement"]["dropped"]:
                judged["signature"] = signature(words(judged["text"]).numbers).tolist()
            files[int(judged["canonical_id"][:8], 16) % config.parts].write(json.dumps(judged).encode() + b"\n")


def judge(config: SelectedConfig, row: dict[str, Any]) -> dict[str, Any]:
    """The document as it would be kept, its `canonical_id`, and under `judgement` what the rules found.

    `judgement` holds the `id` and `bytes` of the document as extracted, `redacted` (reason -> occurrences and the
    bytes by which the text grew shorter), and `dropped` (the first reason and what the rule saw) or None.
    """
    text, redacted = row["text"], {}
    for redactor, mark in settings(config, rules.REDACTORS):
        before = len(text.encode())
        text, found = redactor(text, mark)
        if found:
            redacted[redactor.__name__] = {"occurrences": found, "bytes": before - len(text.encode())}
    dropped = next(reasons(config, row, text), None)
    judgement = {"id": row["id"], "bytes": len(row["text"].encode()), "redacted": redacted, "dropped": dropped}
    id = hashlib.sha256(text.encode()).hexdigest()
    return {**row, "text": text, "id": id, "canonical_id": canonical_id(text), "judgement": judgement}


def canonical_id(text: str) -> str:
    """What equal texts have in common, in whatever normal form of Unicode each is: SHA-256 of the text in NFC."""
    return hashlib.sha256(canonical(text).encode()).hexdigest()


def reasons(config: SelectedConfig, row: dict[str, Any], text: str) -> Iterator[tuple[str, str]]:
    """Why the rules would drop a document, each reason with what the rule saw; the first one is in the ledger."""
    yield from leave_out(config, row)
    for predicate, threshold in settings(config, rules.PREDICATES):
        if saw := predicate(text, threshold):
            yield predicate.__name__, saw


def leave_out(config: SelectedConfig, row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Reasons that do not lie in the text."""
    if saw := rules.excluded(row, config.excluded):
        yield "excluded", saw
    if saw := rules.no_licence(row["licence"]):
        yield "no_licence", saw


def settings(config: SelectedConfig, those: Sequence[Callable[..., Any]]) -> Iterator[tuple[Callable[..., Any], Any]]:
    """Those rules that are not switched off, each with its setting."""
    found = ((rule, getattr(config, rule.__name__)) for rule in those)
    return ((rule, setting) for rule, setting in found if setting is not None)


def arrange(config: SelectedConfig, files: Sequence[Path]) -> list[dict[str, Any]]:
    """The judged documents of one part in the order of their ids: one of each text kept, and splits assigned."""
    rows = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    rows.sort(key=lambda row: (row["id"], row["source"], row["path"]))
    kept: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row["source"], row["path"], row["id"])):
        judgement = row["judgement"]
        if not judgement["dropped"]:
            first = kept.setdefault(row["canonical_id"], row)
            saw = rules.exact_duplicates(None if first is row else title(first))
            judgement["dropped"] = ("exact_duplicates", saw) if saw else None
        row["split"] = split(config, row["canonical_id"])
    return rows


@dataclass(frozen=True)
class Candidate:
    """What a text that no rule has dropped is compared by."""

    id: str
    name: str
    length: int  # characters
    signature: Signatures
    words: Numbers | None  # of a held-out text


def compare(config: SelectedConfig, parts: Sequence[Sequence[Path]]) -> tuple[dict[str, str], Evaluated]:
    """Near duplicates among all that is left (id -> what was seen), and the held-out texts that are to be kept."""
    texts = sorted((text for files in parts for text in candidates(config, files)), key=lambda text: text.id)
    signatures = np.array([text.signature for text in texts], np.uint32).reshape(len(texts), SIZE)
    kept = keep(signatures, np.array([text.length for text in texts]), config.near_duplicates)
    nearly: dict[str, str] = {}
    for place, text in enumerate(texts):
        alike = similarity(signatures[place], signatures[kept[place]])
        if saw := rules.near_duplicates(text.name, texts[kept[place]].name, float(alike)):
            nearly[text.id] = saw
    left = (text for text in texts if text.id not in nearly)
    return nearly, evaluated((text.name, text.words) for text in left if text.words is not None)


def candidates(config: SelectedConfig, files: Sequence[Path]) -> Iterator[Candidate]:
    """The texts of a part that are left, once exact duplicates are gone."""
    for row in arrange(config, files):
        if not row["judgement"]["dropped"]:
            held_out = words(row["text"]).numbers if row["split"] == "held_out" else None
            marks = np.array(row["signature"], np.uint32)
            yield Candidate(row["id"], f"{title(row)} ({row['id']})", len(row["text"]), marks, held_out)


def settle(
    config: SelectedConfig, row: dict[str, Any], nearly: Mapping[str, str], items: Evaluated, held_out: Evaluated
) -> dict[str, Any]:
    """The judged document with the last verdicts: whether it is like another text, and whether it is contaminated."""
    judgement = row["judgement"]
    if not judgement["dropped"] and row["id"] in nearly:
        judgement["dropped"] = ("near_duplicates", nearly[row["id"]])
    if not judgement["dropped"] and row["split"] == "train":
        saw = rules.contaminated(words(row["text"]), config.contaminated, items, held_out)
        judgement["dropped"] = ("contaminated", saw) if saw else None
    return row


def write_part(rows: list[dict[str, Any]], out: Path, part: int) -> None:
    """Write the rows, the ledger and the counts of one part, whose documents are settled."""
    kept = ({column: row[column] for column in SELECTED.names} for row in rows if not row["judgement"]["dropped"])
    write_rows(out / "documents" / f"{name(part)}.parquet", kept, SELECTED)
    write_rows(out / "ledger" / f"{name(part)}.parquet", (entry for row in rows for entry in entries(row)), LEDGER)
    write_json(out / "counts" / f"{name(part)}.json", count(rows))


def title(row: Mapping[str, Any]) -> str:
    """How the ledger names a document."""
    return f"{row['path']} of {row['source']}"


def split(config: SelectedConfig, canonical_id: str) -> str:
    """The split of a text: a hash of its `canonical_id`, salted so that it has nothing to do with the part."""
    draw = int(hashlib.sha256(f"held_out:{canonical_id}".encode()).hexdigest()[:16], 16)
    return "held_out" if draw < config.held_out * 2**64 else "train"


def entries(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The ledger's entries for one judged document: one if it is dropped, else one for each redaction."""
    judgement = row["judgement"]
    same = {column: row[column] for column in ("source", "path", "licence")}
    same |= {"id": judgement["id"], "bytes": judgement["bytes"]}
    if judgement["dropped"]:
        reason, detail = judgement["dropped"]
        yield {**same, "action": "dropped", "reason": reason, "detail": detail, "became": ""}
    else:
        for reason, found in judgement["redacted"].items():
            detail = f"{found['occurrences']} replaced"
            yield {**same, "action": "redacted", "reason": reason, "detail": detail, "became": row["id"]}


def count(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Documents and bytes of a part: as extracted (`raw`, `dropped`), as kept, and what redaction took from those."""
    counts: Counter[tuple[str, ...]] = Counter()
    every = (rules.excluded, rules.no_licence, *rules.PREDICATES, *rules.COMPARISONS)
    for rule in every:  # one that finds nothing counts 0
        counts.update({("dropped", rule.__name__, unit): 0 for unit in ("documents", "bytes")})
    for redactor in rules.REDACTORS:
        counts.update({("redacted", redactor.__name__, unit): 0 for unit in ("documents", "occurrences", "bytes")})
    for row in rows:
        judgement, size = row["judgement"], row["judgement"]["bytes"]
        here = (("sources", row["source"]), ("licences", row["licence"]))
        counts.update({(*place, "kept", unit): 0 for place in here for unit in ("documents", "bytes")})
        places: list[tuple[tuple[str, ...], int]] = [(("raw",), size), *(((*place, "raw"), size) for place in here)]
        if judgement["dropped"]:
            places.append((("dropped", judgement["dropped"][0]), size))
        else:
            size = len(row["text"].encode())
            places += [
                (("kept",), size),
                (("splits", row["split"]), size),
                *(((*place, "kept"), size) for place in here),
            ]
            for reason, found in judgement["redacted"].items():
                counts["redacted", reason, "occurrences"] += found["occurrences"]
                places.append((("redacted", reason), found["bytes"]))
        for place, size in places:
            counts[(*place, "documents")] += 1
            counts[(*place, "bytes")] += size
    return nested(counts)


def nested(counts: Mapping[tuple[str, ...], int]) -> dict[str, Any]:
    """{("a", "b"): 1} as {"a": {"b": 1}}."""
    tree: dict[str, Any] = {}
    for path, number in counts.items():
        branch = tree
        for step in path[:-1]:
            branch = branch.setdefault(step, {})
        branch[path[-1]] = number
    return tree


def add(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """The sum of nested counts, leaf by leaf."""
    total: dict[str, Any] = {}
    for tree in trees:
        for key, value in tree.items():
            total[key] = add(total.get(key, {}), value) if isinstance(value, Mapping) else total.get(key, 0) + value
    return total


def check_counts(config: SelectedConfig, counts: Mapping[str, Any]) -> None:
    """The chain closes: what came in is what we keep, what we drop and what redaction took. Neither split is empty."""
    raw, kept, splits = (counts.get(key, {}) for key in ("raw", "kept", "splits"))
    dropped, redacted = counts["dropped"], counts["redacted"]
    for unit, away in (("documents", [dropped]), ("bytes", [dropped, redacted])):
        gone = sum(entry[unit] for table in away for entry in table.values())
        assert raw.get(unit, 0) == kept.get(unit, 0) + gone, f"{unit}: {counts}"
        assert kept.get(unit, 0) == sum(entry[unit] for entry in splits.values()), f"{unit}: {counts}"
    if not raw:
        raise UserError("selected: there are no documents to select from; see data.raw and data.documents")
    if not kept:
        most = sorted(dropped, key=lambda reason: -dropped[reason]["documents"])[:3]
        why = ", ".join(f"{reason} {dropped[reason]['documents']}" for reason in most if dropped[reason]["documents"])
        raise UserError(f"selected: none of {raw['documents']} documents is kept ({why}); ease data.selected")
    for missing in (split for split in SPLITS if split not in splits):
        raise UserError(
            f"selected: the split {missing} is empty: {kept['documents']} documents are kept and held_out is "
            f"{config.held_out}; give more documents or change data.selected.held_out"
        )
